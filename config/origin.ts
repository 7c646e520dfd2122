import { printable } from "./problems.ts";

/** Where a value came from. */
export type Origin = Source & {
  /** The file that holds the value, when what was given is the name of that file (`*_file`). */
  readonly contentOf?: string;
};

/** Where something was said. */
export type Source =
  /** `preset`: the name of the defaults, when they are not the ordinary ones. */
  | { readonly kind: "default"; readonly preset?: string }
  /** `oldKey`: the key of the Go gateway's file that was translated. */
  | { readonly kind: "file"; readonly file: string; readonly line: number; readonly oldKey?: string }
  | { readonly kind: "env"; readonly variable: string }
  | { readonly kind: "flag"; readonly flag: string };

/** `orama.yaml:4`, `env ORAMA_LOG__LEVEL`, `--listen`, `default`; safe to print on one line. */
export function originText(origin: Origin): string {
  const content = origin.contentOf === undefined ? "" : `, content of ${origin.contentOf}`;
  return printable(sourceText(origin) + content);
}

function sourceText(source: Source): string {
  switch (source.kind) {
    case "default":
      return source.preset === undefined ? "default" : `default of ${source.preset}`;
    case "file":
      return `${source.file}:${source.line}${source.oldKey === undefined ? "" : ` (${source.oldKey})`}`;
    case "env":
      return `env ${source.variable}`;
    case "flag":
      return source.flag;
  }
}
