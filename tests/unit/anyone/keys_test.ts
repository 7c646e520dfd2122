import { deepEqual, equal, match, rejects } from "node:assert/strict";
import { identityIn } from "../../../services/anyone/identity.ts";
import { bringKeys, planKeys } from "../../../services/anyone/keys.ts";
import { inFolder, makeKeys, putFiles, snapshot } from "./support/keys.ts";

/** Whether something was refused with a code, and a sentence that says this. */
const refused = (code: string, words: RegExp) => (error: Error & { code?: string }) => {
  equal(error.code, code, error.message);
  match(error.message, words);
  return true;
};

Deno.test("keys are brought for their owner alone, and nothing else is", () =>
  inFolder(async (folder) => {
    const { fingerprint, files } = makeKeys();
    await putFiles(`${folder}/old`, { fingerprint: `tester ${fingerprint}\n`, state: "x" });
    await putFiles(`${folder}/old/keys`, { ...files, authority_signing_key: "x", "notes.txt": "x" });
    await Deno.mkdir(`${folder}/new`);
    const plan = await planKeys(`${folder}/old`, `${folder}/new`);
    equal(plan.identity.fingerprint, fingerprint);
    deepEqual(plan.files, Object.keys(files).sort());
    deepEqual(plan.left, ["authority_signing_key", "notes.txt"]);
    deepEqual(await snapshot(`${folder}/new`), {}, "a plan changes nothing");
    await bringKeys(plan);
    deepEqual(await snapshot(`${folder}/new`), {
      keys: "700",
      ...Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`keys/${name}`, `600 ${bytes.toHex()}`])),
    });
    deepEqual(await identityIn(`${folder}/new/keys`), plan.identity);
  }));

Deno.test("the folder of the keys themselves does as well", () =>
  inFolder(async (folder) => {
    const { files } = makeKeys();
    await putFiles(`${folder}/backup`, files);
    await Deno.mkdir(`${folder}/new`);
    deepEqual((await planKeys(`${folder}/backup`, `${folder}/new`)).files.length, 4);
  }));

Deno.test("another identity that is there stops it, and stays as it was", () =>
  inFolder(async (folder) => {
    await putFiles(`${folder}/old/keys`, makeKeys().files);
    await putFiles(`${folder}/new/keys`, makeKeys().files);
    const before = await snapshot(`${folder}/new`);
    await rejects(planKeys(`${folder}/old`, `${folder}/new`), refused("CONFLICT", /nothing is overwritten/));
    deepEqual(await snapshot(`${folder}/new`), before);
  }));

Deno.test("the same RSA key with another Ed25519 key is another identity", () =>
  inFolder(async (folder) => {
    const { files } = makeKeys();
    await putFiles(`${folder}/old/keys`, files);
    const other = makeKeys().files["ed25519_master_id_public_key"]!;
    await putFiles(`${folder}/new/keys`, { ...files, ed25519_master_id_public_key: other });
    await rejects(planKeys(`${folder}/old`, `${folder}/new`), refused("CONFLICT", /nothing is overwritten/));
  }));

Deno.test("where the Ed25519 key is kept by its secret half alone, the RSA key tells identities apart", () =>
  inFolder(async (folder) => {
    const withoutPublic = () => {
      const { ed25519_master_id_public_key: _, ...files } = makeKeys().files;
      return files;
    };
    await putFiles(`${folder}/old/keys`, withoutPublic());
    await putFiles(`${folder}/new/keys`, withoutPublic());
    await rejects(planKeys(`${folder}/old`, `${folder}/new`), refused("CONFLICT", /nothing is overwritten/));
  }));

Deno.test("keys of whom nobody knows stop it as well", () =>
  inFolder(async (folder) => {
    await putFiles(`${folder}/old/keys`, makeKeys().files);
    await putFiles(`${folder}/new/keys`, { secret_onion_key: "x" });
    await rejects(planKeys(`${folder}/old`, `${folder}/new`), refused("CONFLICT", /without secret_id_key/));
  }));

Deno.test("of the same identity what is missing is brought, and what is there stays", () =>
  inFolder(async (folder) => {
    const { files } = makeKeys();
    const { secret_onion_key: _, ...some } = files;
    await putFiles(`${folder}/old/keys`, files);
    await putFiles(`${folder}/new/keys`, { ...some, ed25519_signing_cert: "newer" });
    const plan = await planKeys(`${folder}/old`, `${folder}/new`);
    deepEqual(plan.files, ["secret_onion_key"]);
    await bringKeys(plan);
    equal(await Deno.readTextFile(`${folder}/new/keys/ed25519_signing_cert`), "newer");
    deepEqual((await planKeys(`${folder}/old`, `${folder}/new`)).files, []);
  }));

Deno.test("keys that somebody made since the plan are not overwritten", () =>
  inFolder(async (folder) => {
    await putFiles(`${folder}/old/keys`, makeKeys().files);
    await Deno.mkdir(`${folder}/new`);
    const plan = await planKeys(`${folder}/old`, `${folder}/new`);
    const theirs = makeKeys().files;
    await putFiles(`${folder}/new/keys`, theirs);
    const before = await snapshot(`${folder}/new`);
    await rejects(bringKeys(plan), refused("CONFLICT", /meanwhile/));
    deepEqual(await snapshot(`${folder}/new`), before);
  }));

Deno.test("a fingerprint that is not of its key, keys that do not suffice, and what is no key are refused", () =>
  inFolder(async (folder) => {
    const { files } = makeKeys();
    await Deno.mkdir(`${folder}/new`);
    const from = async (name: string, keys: Record<string, Uint8Array | string>, beside = {}) => {
      await putFiles(`${folder}/${name}`, beside);
      await putFiles(`${folder}/${name}/keys`, keys);
      return planKeys(`${folder}/${name}`, `${folder}/new`);
    };
    await rejects(from("a", files, { fingerprint: `x ${"0".repeat(40)}\n` }), refused("CONFLICT", /fingerprint says/));
    await rejects(from("b", { secret_id_key: files["secret_id_key"]! }), refused("CONFLICT", /Ed25519/));
    await rejects(from("c", { ...files, secret_id_key: "no key" }), refused("CONFLICT", /no RSA key/));
    const pem = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    await rejects(from("d", { ...files, secret_id_key: pem }), refused("CONFLICT", /no RSA key/));
    await rejects(from("e", { ...files, ed25519_master_id_public_key: "x" }), refused("CONFLICT", /no Ed25519/));
    const long = new Uint8Array([...files["ed25519_master_id_public_key"]!, 0]);
    await rejects(from("h", { ...files, ed25519_master_id_public_key: long }), refused("CONFLICT", /no Ed25519/));
    await rejects(from("f", { ...files, secret_id_key: new Uint8Array(20_000) }), refused("CONFLICT", /no file of/));
    await rejects(from("g", {}), refused("NOT_FOUND", /no keys of a relay/));
    await rejects(planKeys(`${folder}/nowhere`, `${folder}/new`), refused("NOT_FOUND", /no such folder/));
    await rejects(planKeys(`${folder}/a/fingerprint`, `${folder}/new`), refused("NOT_FOUND", /no such folder/));
    deepEqual(await snapshot(`${folder}/new`), {});
  }));

Deno.test("a link among the keys is not followed", () =>
  inFolder(async (folder) => {
    const { files } = makeKeys();
    await putFiles(`${folder}/old/keys`, files);
    await Deno.writeTextFile(`${folder}/secret`, "not a key");
    await Deno.symlink(`${folder}/secret`, `${folder}/old/keys/secret_onion_key_ntor`);
    await Deno.mkdir(`${folder}/new`);
    const plan = await planKeys(`${folder}/old`, `${folder}/new`);
    await rejects(bringKeys(plan), refused("CONFLICT", /as keys are/));
    deepEqual(await snapshot(`${folder}/new`), {}, "and half of an identity is not left");
  }));

Deno.test("without a data folder nothing is brought", () =>
  inFolder(async (folder) => {
    await putFiles(`${folder}/old/keys`, makeKeys().files);
    await rejects(planKeys(`${folder}/old`, `${folder}/new`), refused("NOT_FOUND", /install anon first/));
  }));
