import { deepEqual, equal, throws } from "node:assert/strict";
import {
  AnonrcSyntaxError,
  editAnonrc,
  meant,
  parseAnonrc,
  unescaped,
  written,
} from "../../../services/anyone/anonrc.ts";

const pairs = (text: string) =>
  parseAnonrc(text).filter(({ option }) => option !== undefined).map(({ option, value }) => [option, value]);

const signed = (text: string, wanted: Parameters<typeof editAnonrc>[1]) =>
  editAnonrc(parseAnonrc(text), wanted).lines.map(({ sign, line }) => sign + line);

Deno.test("options, comments, blanks, quotes and continued lines are read as tor(1) says", () => {
  deepEqual(
    pairs(
      [
        "## about",
        "",
        "  nickname\tabc # the name",
        'ContactInfo "me # \\"x\\" \\x41\\102 \\\\ y" # not this',
        "ORPort 9001 \\",
        "# within, a comment takes its line alone",
        "  IPv4Only",
        "+SocksPort 9100",
        "/ExitPolicy",
        "Bare",
        "HiddenServiceDir /srv/x\r",
        "Last no line break",
      ].join("\n"),
    ),
    [
      ["nickname", "abc"],
      ["ContactInfo", 'me # "x" AB \\ y'],
      ["ORPort", "9001   IPv4Only"],
      ["SocksPort", "9100"],
      ["ExitPolicy", ""],
      ["Bare", ""],
      ["HiddenServiceDir", "/srv/x"],
      ["Last", "no line break"],
    ],
  );
});

Deno.test("what is taken apart makes the same file again, whatever it holds", () => {
  const texts = [
    "",
    "\n",
    "a",
    "a b",
    "# x",
    "\r\n\r\n",
    'a "b" # c\n\n\t\n',
    "a \\\n b \\\n# c\n d\ne f\n",
    "a \\",
    "\\\n",
    'a "\\""\n',
    "a#b\nc",
    "é \u{1f600}\n",
  ];
  for (const text of texts) equal(parseAnonrc(text).map((entry) => entry.text).join(""), text, JSON.stringify(text));
});

Deno.test("a value in quotes that does not end is refused, with its line", () => {
  for (const text of ['a b\nc "d\n', 'x\n"', 'a "b" c', 'a "b\\"', 'a "b\\\n"']) {
    if (text.startsWith("x")) continue;
    throws(() => parseAnonrc(text), AnonrcSyntaxError, text);
  }
  throws(() => parseAnonrc('a b\nc "d\n'), /^AnonrcSyntaxError: line 2: /);
});

Deno.test("a value is written so that it is read back as it was", () => {
  for (const value of ["plain", "with # hash", 'with "quotes"', "back\\slash", " blank ", "\\x41", "é", 'end"', "#"]) {
    deepEqual(pairs(`ContactInfo ${written(value)}\nNext 1\n`), [["ContactInfo", value], ["Next", "1"]], value);
  }
  equal(unescaped("\\n\\t\\x4a\\101\\q"), "\n\tJAq");
});

Deno.test("an option is changed where it stands first, and everything else stays as it is, letter for letter", () => {
  const text = "# mine\nORPort 443\n\nUnknownOption  a   b\norport 80\nNickname abc";
  const wanted = [{ option: "ORPort", values: ["9001"] }, { option: "ExitRelay", values: ["0"] }];
  deepEqual(signed(text, wanted), [
    " # mine",
    "-ORPort 443",
    "+ORPort 9001",
    " ",
    " UnknownOption  a   b",
    "-orport 80",
    " Nickname abc",
    "+ExitRelay 0",
  ]);
  const { text: after, changed } = editAnonrc(parseAnonrc(text), wanted);
  equal(after, "# mine\nORPort 9001\n\nUnknownOption  a   b\nNickname abc\nExitRelay 0\n");
  equal(changed, true);
  deepEqual(editAnonrc(parseAnonrc(after), wanted), {
    text: after,
    lines: after.trimEnd().split("\n").map((line) => ({ sign: " ", line })),
    changed: false,
  });
});

Deno.test("of an option that comes twice, both go: anon would take the last", () => {
  deepEqual(signed("ExitRelay 0\nExitRelay 1\n", [{ option: "ExitRelay", values: ["0"] }]), [
    "-ExitRelay 0",
    "+ExitRelay 0",
    "-ExitRelay 1",
  ]);
});

Deno.test("an option in several lines goes as a whole, and one that is not wanted goes", () => {
  deepEqual(signed("A 1\nORPort \\\n9001\nB 2\n", [{ option: "ORPort", values: [] }]), [
    " A 1",
    "-ORPort \\",
    "-9001",
    " B 2",
  ]);
});

Deno.test("the beginning of a name is that option, as anon takes it; what may be another is left alone", () => {
  const options = ["ExitRelay", "ExitPolicy", "Nickname", "ORPort", "Log"];
  equal(meant("exitrel", options), "ExitRelay");
  equal(meant("NICK", options), "Nickname");
  equal(meant("log", options), "Log");
  for (const other of ["Exit", "ExitPolicyRejectPrivate", "OR", "Nicknames", "N", ""]) {
    equal(meant(other, options), undefined, other);
  }
  deepEqual(signed("ExitRelay 0\nExitRel 1\n", [{ option: "ExitRelay", values: ["0"] }]), [
    "-ExitRelay 0",
    "+ExitRelay 0",
    "-ExitRel 1",
  ]);
});
