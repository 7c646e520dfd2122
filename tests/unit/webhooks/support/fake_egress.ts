import type { Egress, EgressOptions, EgressRequest, EgressResponse } from "../../../../src/contracts/egress.ts";

/** A request that was to be sent. */
export interface Sent {
  readonly namespace: string;
  readonly request: EgressRequest;
  readonly options: EgressOptions;
  readonly requestId: string;
  readonly signal: AbortSignal;
  /** The body, read. */
  readonly event: { readonly id: string; readonly type: string; readonly namespace: string; readonly data: unknown };
}

/** How a receiver answers. */
export type Receiver = (sent: Sent) => EgressResponse | Promise<EgressResponse>;

/** Sends nothing, and answers as the test says. */
export class FakeEgress implements Pick<Egress, "fetch"> {
  readonly sent: Sent[] = [];
  /** Those that are not answered and not given up. */
  open = 0;
  /** The most that were open at once, by URL. */
  readonly peaks = new Map<string, number>();
  readonly #openTo = new Map<string, number>();
  /** When each was sent. */
  readonly times: number[] = [];
  answer: Receiver = () => answered(204);

  /** @param now Unix milliseconds */
  constructor(private readonly now: () => number) {}

  async fetch(
    namespace: string,
    request: EgressRequest,
    options: EgressOptions,
    { requestId, signal }: Parameters<Egress["fetch"]>[3],
  ): Promise<EgressResponse> {
    const text = new TextDecoder().decode(request.body as Uint8Array);
    const sent = { namespace, request, options, requestId, signal, event: JSON.parse(text) };
    this.sent.push(sent);
    this.times.push(this.now());
    const leave = this.#enter(request.url);
    signal.addEventListener("abort", leave, { once: true });
    try {
      return await this.answer(sent);
    } finally {
      leave();
    }
  }

  /** Which events were sent where. */
  get told(): string[] {
    return this.sent.map(({ request, event }) => `${new URL(request.url).pathname} ${event.id}`);
  }

  #enter(url: string): () => void {
    const count = (by: number) => {
      this.open += by;
      this.#openTo.set(url, (this.#openTo.get(url) ?? 0) + by);
    };
    count(1);
    this.peaks.set(url, Math.max(this.peaks.get(url) ?? 0, this.#openTo.get(url)!));
    let isOpen = true;
    return () => {
      if (isOpen) count(-1);
      isOpen = false;
    };
  }
}

/** A response. */
export const answered = (
  status: number,
  headers: readonly (readonly [string, string])[] = [],
  body: ReadableStream<Uint8Array> = new Blob([]).stream(),
): EgressResponse => ({ status, headers, body });

/** Never answers, and minds being broken off as the real one does. */
export const hanging: Receiver = ({ signal }) =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));

/** The request as its receiver would have it. */
export const received = ({ request }: Sent): Request =>
  new Request(request.url, {
    method: request.method,
    headers: request.headers.map(([name, value]): [string, string] => [name, value]),
    body: request.body as Uint8Array<ArrayBuffer>,
  });
