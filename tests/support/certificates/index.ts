const textOf = (file: string) => Deno.readTextFileSync(pathOf(file));

/** Where a file of this folder lies. */
export const pathOf = (file: string): string => new URL(file, import.meta.url).pathname;

/** The files of this folder, as text in PEM. The README says what each is. */
export const CERTIFICATES = {
  authority: textOf("authority.pem"),
  otherAuthority: textOf("other_authority.pem"),
  node: textOf("node.pem"),
  expired: textOf("expired.pem"),
  gateway: textOf("gateway.pem"),
  key: textOf("key.pem"),
} as const;
