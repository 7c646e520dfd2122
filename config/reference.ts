import { type Catalogue, type Leaf, leavesOf } from "./catalogue.ts";
import { CATALOGUE } from "./load.ts";
import { inlineYaml } from "./print.ts";
import { ORIGINAL_KEYS } from "./sources/original.ts";

const INTRODUCTION = `# Configuration

This page is generated from the settings themselves (\`orama-gateway config reference\`); a test keeps it true.

Everything has a default: a gateway without any configuration starts, on loopback, with its data in \`./data\`.

## Where values come from

A later source wins over an earlier one, setting by setting; a list or map is replaced as a whole.

1. the defaults below
2. the YAML file of \`--config\`
3. environment variables: \`ORAMA_\` and the path of the setting in capitals, its parts joined by two underscores
4. flags of the command line

\`\`\`yaml
http:
  listen: ":6001"
  trusted_proxies: [10.0.0.0/8]
auth:
  root_key_file: /run/secrets/root_key
\`\`\`

says the same as

\`\`\`sh
ORAMA_HTTP__LISTEN=:6001
ORAMA_HTTP__TRUSTED_PROXIES=10.0.0.0/8
ORAMA_AUTH__ROOT_KEY_FILE=/run/secrets/root_key
\`\`\`

\`orama-gateway config print\` shows each value and where it came from, \`config check\` only whether all is well.
Unknown keys, unknown \`ORAMA_\` variables and wrong values stop the start; all of them are reported at once, with file and
line. (Kubernetes makes variables from the names of services: for one whose name begins with \`orama\`, set
\`enableServiceLinks: false\` on the pod.)

## How values are written

- **duration**: \`10s\`, \`1m30s\`, \`500ms\`, \`30d\` (units ms, s, m, h, d); a bare number is milliseconds.
- **size**: \`1MiB\` (1024² bytes), \`10MB\` (1000² bytes), \`512KiB\`; a bare number is bytes.
- **list**: in a variable separated by commas, or YAML such as \`[a, b]\`; empty for the empty list.
- **map**, **{…}**: in a variable YAML such as \`{1: https://rpc.example}\`.
- **path**: a relative one counts from the folder in which the gateway is started.
- **secret**: is never printed or logged. Instead of a secret \`x\`, give \`x_file\`: the name of a file with the value,
  which is read at the start without the blanks and line ends around it.
`;

/** The reference of all settings, in Markdown: `docs/configuration.md`. */
export const reference = (): string => referenceOf(CATALOGUE);

/** The same for any sections. */
export function referenceOf({ sections, root }: Catalogue): string {
  const chapters = Object.entries(sections).map(([name, { description }]) => {
    const rows = leavesOf(root.children.get(name)!).map(rowOf);
    return [
      `## ${name}\n\n${description}\n`,
      "| key | type | unit | default | variable | description |",
      "| --- | --- | --- | --- | --- | --- |",
      ...rows,
    ].join("\n") + "\n";
  });
  return [INTRODUCTION, ...chapters, originalKeys()].join("\n");
}

function rowOf({ path, variable, meta }: Leaf): string {
  const { kind, unit = kind.unit ?? "", secret, description } = meta;
  const preset = meta.default === undefined ? "" : code(inlineYaml(meta.default));
  const type = `${kind.name}${secret ? ", **secret**" : ""}`;
  return `| ${[code(path), type, unit, preset, code(variable), description].map(cell).join(" | ")} |`;
}

function originalKeys(): string {
  const rows = [...ORIGINAL_KEYS].map(([key, { meaning }]) => `| ${code(key)} | ${cell(meaning)} |`);
  return [
    "## Keys of the Go gateway's `gateway.yaml`\n",
    "Its keys are understood at the top of the file; `config check` and the start say what becomes of each. A key together",
    "with the setting that says the same is refused.\n",
    "| key | here |",
    "| --- | --- |",
    ...rows,
  ].join("\n") + "\n";
}

const code = (text: string) => `\`${text}\``;
const cell = (text: string) => text.replaceAll("|", "\\|");
