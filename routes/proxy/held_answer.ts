import { EgressFailure, type EgressResponse, type EgressRoom } from "../../src/contracts/egress.ts";
import { ok, type Reply } from "../../src/http/reply.ts";
import type { StreamedReply } from "../../src/http/streamed_reply.ts";
import { BLOCK, Blocks } from "./blocks.ts";

/** Milliseconds that a client has to take an answer, and bytes for each of which it has one more. */
const PATIENCE = 60_000, SLOWEST = 64;

const encoder = new TextEncoder(), decoder = new TextDecoder();

/**
 * The answer with a response whose body was read to its end, so that no part of one is taken for the whole. What it holds goes as it is
 * taken, and all of it with the signal.
 * @throws EgressFailure as the body does, and `EGRESS_RESPONSE_TOO_LARGE` where there is no room for it. The room is left to the caller
 */
export async function heldAnswer(
  { status, body }: EgressResponse,
  headers: Readonly<Record<string, string>>,
  room: EgressRoom,
  signal: AbortSignal,
): Promise<Reply> {
  const blocks = Blocks.base64(room);
  for await (const chunk of body) {
    if (blocks.add(chunk)) continue;
    // Before the connection is let go of, which takes a while: others would find none either.
    room.leave();
    throw noRoom();
  }
  const pieces = blocks.pieces();
  const [only] = pieces;
  if (pieces.length === 1) {
    room.leave();
    return ok({ status_code: status, headers, body: decoder.decode(only) });
  }
  const end = '"}';
  pieces.unshift(encoder.encode(JSON.stringify({ status_code: status, headers, body: "" }).slice(0, -end.length)));
  pieces.push(encoder.encode(end));
  const length = pieces.reduce((sum, { length }) => sum + length, 0);
  return {
    status: 200,
    headers: { "content-length": String(length) },
    body: taken(pieces, room, AbortSignal.any([signal, AbortSignal.timeout(PATIENCE + Math.ceil(length / SLOWEST))])),
  };
}

/** Pieces as they are asked for. Whoever does not ask for them to their end leaves, or the signal ends it: then the room is given back. */
function taken(pieces: Uint8Array<ArrayBuffer>[], room: EgressRoom, signal: AbortSignal): StreamedReply {
  const end = () => {
    signal.removeEventListener("abort", end);
    pieces.length = 0;
    room.leave();
  };
  signal.addEventListener("abort", end);
  if (signal.aborted) end();
  return {
    [Symbol.asyncIterator]: () => ({
      next() {
        if (signal.aborted) return Promise.reject(signal.reason);
        const value = pieces.shift();
        if (value) {
          if (value.length === BLOCK) room.give(BLOCK);
          return Promise.resolve({ done: false, value });
        }
        end();
        return Promise.resolve({ done: true, value: undefined });
      },
      return() {
        end();
        return Promise.resolve({ done: true, value: undefined });
      },
    }),
  };
}

const noRoom = () =>
  new EgressFailure(
    "EGRESS_RESPONSE_TOO_LARGE",
    "there is no room in memory for the response beside those that are held; get it by /v1/proxy/anon/stream, where none is",
  );
