import { deepEqual, equal, match, notEqual, ok, rejects } from "node:assert/strict";
import { IdentityError, openIdentity } from "../../../services/network/identity.ts";

async function inFolder(run: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "orama-identity-" });
  try {
    await run(`${folder}/node.key`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const publicKey = async (path: string) => (await openIdentity(path)).key.publicKey.toString();

Deno.test("a gateway's own key is made once, for its user alone, and is the same from then on", () =>
  inFolder(async (path) => {
    const made = await publicKey(path);
    equal(await publicKey(path), made);
    equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    await Deno.remove(path);
    notEqual(await publicKey(path), made);
  }));

Deno.test("of several that start at once all have the same key, and nothing else is left", () =>
  inFolder(async (path) => {
    const keys = await Promise.all(Array.from({ length: 10 }, () => publicKey(path)));
    equal(new Set(keys).size, 1);
    deepEqual(Array.from(Deno.readDirSync(path.slice(0, path.lastIndexOf("/"))), ({ name }) => name), ["node.key"]);
  }));

Deno.test("a file that others can read is told, and used", () =>
  inFolder(async (path) => {
    deepEqual((await openIdentity(path)).warnings, []);
    await Deno.chmod(path, 0o644);
    match((await openIdentity(path)).warnings.join(), /chmod 600/);
  }));

Deno.test("what is no key of a gateway is refused, by a message that holds nothing of it", () =>
  inFolder(async (path) => {
    for (const text of ["", "secret", "c2VjcmV0", "CAESQA==", "x".repeat(10_000)]) {
      await Deno.writeTextFile(path, text);
      const refused = (error: unknown) => {
        ok(error instanceof IdentityError);
        ok(error.message.includes(path) && !error.message.includes("secret"));
        return true;
      };
      await rejects(openIdentity(path), refused);
      equal(await Deno.readTextFile(path), text, "it is left as it was");
    }
    await Deno.remove(path);
    await Deno.mkdir(path);
    await rejects(openIdentity(path), IdentityError);
  }));
