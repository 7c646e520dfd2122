import { createHash } from "node:crypto";
import { type FetchedRequest, json, type Network, refusal } from "./storages.ts";

/** What happens in place of the answer: to this request, the how manieth of its method. */
export type Disturbance = (
  request: FetchedRequest,
  count: number,
  gateway: TusGateway,
) => Response | Promise<Response> | undefined;

const PATH = "/v1/storage/uploads";
const EXPIRES = "2026-01-18T10:00:00.000Z";

/** A gateway that has one upload, in memory. */
export class TusGateway {
  bytes = new Uint8Array();
  length: number | undefined;
  isBegun = false;
  /** Each request as `PATCH 4-8`. */
  readonly log: string[] = [];
  readonly headers: Headers[] = [];
  readonly #counts = new Map<string, number>();

  /** @param disturbance what it answers in place of the right answer, if anything */
  constructor(private readonly disturbance: Disturbance = () => undefined) {}

  /** For a client. */
  readonly network: Network = async (request) => {
    const { method, headers, body } = request;
    const count = (this.#counts.get(method) ?? 0) + 1;
    this.#counts.set(method, count);
    this.headers.push(headers);
    const part = body instanceof Blob ? new Uint8Array(await body.arrayBuffer()) : new Uint8Array();
    const from = Number(headers.get("upload-offset"));
    this.log.push(method === "PATCH" ? `PATCH ${from}-${from + part.length}` : method);
    return await this.disturbance(request, count, this) ?? this.#answer(request, from, part);
  };

  /** What is there. */
  get text(): string {
    return new TextDecoder().decode(this.bytes);
  }

  /** Takes bytes, whatever it says of them. */
  take(part: Uint8Array): void {
    this.bytes = Uint8Array.from([...this.bytes, ...part]);
  }

  /** How far it is, as `GET` tells. */
  state(): Response {
    const isStored = this.bytes.length === this.length;
    return json(200, {
      id: "up-1",
      offset: this.bytes.length,
      length: this.length ?? null,
      expires_at: EXPIRES,
      ...(isStored && { cid: "bafy", name: "n", size: this.length }),
    });
  }

  #answer({ method, path, headers }: FetchedRequest, from: number, part: Uint8Array): Response {
    if (headers.get("tus-resumable") !== "1.0.0" && method !== "GET") return refusal(412, "PRECONDITION_FAILED");
    const length = headers.get("upload-length");
    if (method === "POST" && path === PATH) {
      this.isBegun = true;
      this.length = length === null ? undefined : Number(length);
      return new Response(this.state().body, { status: 201 });
    }
    if (!this.isBegun || path !== `${PATH}/up-1`) return refusal(404, "NOT_FOUND");
    if (method === "GET") return this.state();
    if (from !== this.bytes.length) return refusal(409, "CONFLICT", {}, { offset: this.bytes.length });
    const [algorithm = "", digest] = headers.get("upload-checksum")?.split(" ") ?? [];
    if (digest !== undefined && createHash(algorithm).update(part).digest("base64") !== digest) {
      return refusal(460, "CHECKSUM_MISMATCH");
    }
    this.take(part);
    if (length !== null) this.length = Number(length);
    return new Response(null, { status: 204, headers: { "upload-offset": String(this.bytes.length) } });
  }
}
