import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { LRUCache } from "lru-cache";
import type { TopicKey } from "./cluster.ts";

/** Topics whose channels are remembered. */
const REMEMBERED = 20_000;

/** What topics are called on the mesh: HMAC-SHA-256 of their key (RFC 2104), in hexadecimal. */
export class ChannelNames {
  readonly #names = new LRUCache<TopicKey, string>({ max: REMEMBERED });
  readonly #secret: Uint8Array;

  /** @param secret 32 bytes, the same on every gateway of the cluster and known to nobody else */
  constructor(secret: Uint8Array) {
    if (secret.byteLength !== 32) throw new RangeError("the secret of channel names has 32 bytes");
    this.#secret = secret.slice();
  }

  of(key: TopicKey): string {
    let name = this.#names.get(key);
    if (name === undefined) {
      name = bytesToHex(hmac(sha256, this.#secret, utf8ToBytes(key)));
      this.#names.set(key, name);
    }
    return name;
  }
}
