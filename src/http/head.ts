/**
 * The answer to a `HEAD` whose length nobody knows, without a length. The server says 0 of a body that it knows to be empty, and that
 * would be the length of the answer to a `GET` (RFC 9110, 8.6).
 */
export async function withoutLength(answer: Response | Promise<Response>): Promise<Response> {
  const response = await answer;
  const { status, headers, body } = response;
  if (body !== null || headers.has("content-length") || status === 204 || status === 304) return response;
  return new Response(new ReadableStream({ start: (controller) => controller.close() }), response);
}
