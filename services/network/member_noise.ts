import { noise } from "@libp2p/noise";

type NoiseOf = ReturnType<typeof noise>;

const CONTEXT = new TextEncoder().encode("orama-gateway network v1\n");

/**
 * Noise whose handshake only those complete who have the key of the network. It is the prologue (The Noise Protocol Framework,
 * revision 34, section 6): both sides hash it into everything that they authenticate. It never goes over the wire.
 * @param key 32 random bytes
 * @param failed called for each handshake that came to nothing
 */
export function memberNoise(key: Uint8Array, failed: () => void): NoiseOf {
  if (key.length !== 32) throw new RangeError("a network key has 32 bytes");
  const prologueBytes = new Uint8Array([...CONTEXT, ...key]);
  return (components) => {
    const encrypter = noise({ prologueBytes })(components);
    const secureInbound = encrypter.secureInbound.bind(encrypter);
    return Object.assign(encrypter, {
      async secureInbound(...args: Parameters<typeof secureInbound>) {
        try {
          return await secureInbound(...args);
        } catch (error) {
          failed();
          throw error;
        }
      },
    });
  };
}
