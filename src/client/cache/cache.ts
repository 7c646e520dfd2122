import { invalidResponse, isObject } from "../errors.ts";
import type { CallOptions, Client } from "../http.ts";
import type { CacheMap } from "./cache_map.ts";
import { callOptions } from "./options.ts";
import { RemoteMap } from "./remote_map.ts";
import type { Json } from "./values.ts";

/** A map that holds something. */
export interface CacheMapFigures {
  readonly name: string;
  /** Known without counting, so expired ones may be among them. */
  readonly keys: number;
  /** Roughly. */
  readonly bytes: number;
}

/** The cache of the namespace that the client's credential belongs to. */
export interface Cache {
  /** A map by its name, text of 1 to 255 bytes of UTF-8. It is there as soon as something is in it; this alone sends nothing. */
  map<T = Json | Uint8Array>(name: string): CacheMap<T>;
  /** The maps that hold something, by name. @throws OramaError */
  maps(options?: CallOptions): Promise<CacheMapFigures[]>;
}

/** The cache of a client. */
export const createCache = (client: Client): Cache => new RemoteCache(client);

class RemoteCache implements Cache {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  map<T>(name: string): CacheMap<T> {
    return new RemoteMap<T>(this.#client, name);
  }

  async maps(options: CallOptions = {}): Promise<CacheMapFigures[]> {
    const request = { method: "GET", path: "/v1/cache", effect: "read", ...callOptions(options) } as const;
    return await this.#client.json(request, (body) => {
      if (isObject(body) && Array.isArray(body.maps)) return body.maps as CacheMapFigures[];
      throw invalidResponse("it has no maps");
    });
  }
}
