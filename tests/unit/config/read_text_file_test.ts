import { equal, throws } from "node:assert/strict";
import { readTextFile } from "../../../config/index.ts";

function withFile(content: Uint8Array | string, use: (path: string) => void): void {
  const path = Deno.makeTempFileSync();
  try {
    Deno.writeFileSync(path, typeof content === "string" ? new TextEncoder().encode(content) : content);
    use(path);
  } finally {
    Deno.removeSync(path);
  }
}

Deno.test("readTextFile() gives a file's text", () => {
  withFile("Zoë: 1\n", (path) => equal(readTextFile(path), "Zoë: 1\n"));
  withFile("", (path) => equal(readTextFile(path), ""));
});

Deno.test("readTextFile() stops at 1 MiB", () => {
  withFile("x".repeat(2 ** 20), (path) => equal(readTextFile(path).length, 2 ** 20));
  withFile("x".repeat(2 ** 20 + 1), (path) => throws(() => readTextFile(path), /longer than/));
});

Deno.test("readTextFile() refuses what never ends, is no text, no file or not there", () => {
  throws(() => readTextFile("/dev/zero"), /longer than/);
  withFile(new Uint8Array([0x66, 0xff, 0xfe]), (path) => throws(() => readTextFile(path), /UTF-8/));
  throws(() => readTextFile("/"), /./);
  throws(() => readTextFile("/nonexistent/file"), Deno.errors.NotFound);
});
