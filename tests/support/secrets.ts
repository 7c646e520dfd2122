/** Members whose texts must never be in a log. */
const SECRET_MEMBERS =
  /^(api_key|key|access_token|refresh_token|token|nonce|signature|code|code_verifier|password|authorization)$/;
/** Shorter texts are inventions of a test and could stand in a log by chance. */
const MIN_LENGTH = 20;
/** What the member `code` of an error says. */
const ERROR_CODE = /^[A-Z]+(_[A-Z]+)+$/;

/** Every secret that a run produced, to be searched for in what the gateway wrote. */
export class SecretBook {
  readonly #secrets = new Set<string>();

  /** How many there are. */
  get size(): number {
    return this.#secrets.size;
  }

  note(secret: string): void {
    if (secret.length >= MIN_LENGTH && !ERROR_CODE.test(secret)) this.#secrets.add(secret);
  }

  /** Notes the secrets in a JSON text; any other text holds none. */
  read(json: string): void {
    try {
      this.#walk(JSON.parse(json));
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
  }

  /** The secrets of which a text holds the whole, the beginning or the end. */
  foundIn(text: string): string[] {
    return [...this.#secrets].filter((secret) => partsOf(secret).some((part) => text.includes(part)));
  }

  /** Without recursion: some tests nest their bodies as deep as a stack. */
  #walk(json: unknown): void {
    const rest = [json];
    while (rest.length > 0) {
      const value = rest.pop();
      if (typeof value !== "object" || value === null) continue;
      for (const [name, item] of Object.entries(value)) {
        if (typeof item === "string" && SECRET_MEMBERS.test(name)) this.note(item);
        else rest.push(item);
      }
    }
  }
}

/** A key's secret stands between its prefix and the name of its namespace, which is none. */
function partsOf(secret: string): string[] {
  const [, core = secret] = /^ak_([^:]+):/.exec(secret) ?? [];
  return [core, core.slice(0, 16), core.slice(-16)];
}
