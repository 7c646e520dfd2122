const textOf = (file: string) => Deno.readTextFileSync(new URL(file, import.meta.url));

/**
 * Certificates as text in PEM, good from 2025 to 2125, made by `make.sh`. The private key is public by lying here, and protects nothing.
 */
export const CERTIFICATES = {
  /** Vouches for the two below; its private key was thrown away. */
  authority: textOf("authority.pem"),
  /** Of `egress.test` and `127.77.0.1`. */
  server: textOf("server.pem"),
  /** The same, good until the second day of 2025. */
  expired: textOf("expired.pem"),
  /** The same, and nobody vouches for it. */
  selfSigned: textOf("self_signed.pem"),
  /** The private key of these three. */
  key: textOf("key.pem"),
} as const;
