import manifest from "../deno.json" with { type: "json" };

/** Which build this is. A packager replaces this module; a run from source has no commit and no time. */
export const BUILD = { version: manifest.version, commit: "", buildTime: "" };
