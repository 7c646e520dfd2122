import { deepEqual, equal } from "node:assert/strict";
import { parseAnonrc } from "../../../services/anyone/anonrc.ts";
import { planAnonrc } from "../../../services/anyone/plan.ts";
import { type AnyoneSettings, isWallet, problemsOf } from "../../../services/anyone/settings.ts";
import { FINGERPRINTS, settings, WALLET } from "./support/settings.ts";

const wrong = (changes: Partial<AnyoneSettings>, taken: readonly (readonly [number, string])[] = []) =>
  problemsOf(settings(changes), new Map(taken)).map(({ setting }) => setting.replace("anyone.", ""));

Deno.test("settings that can be written down have no problem", () => {
  deepEqual(wrong({}), []);
  deepEqual(wrong({ mode: "client", nickname: undefined, contact: undefined, orPort: 9050 }), []);
  deepEqual(wrong({ wallet: WALLET, family: [...FINGERPRINTS, `$${FINGERPRINTS[0]}`], exit: true }), []);
  deepEqual(wrong({ contact: "ünï code 💬 <me AT example DOT org>", socksPort: 0, controlPort: 0 }), []);
});

Deno.test("what would end a line, or begin another option, is refused", () => {
  for (const evil of ["a\nExitRelay 1", "a\rb", "a\0b", "a\u2028b", "a\u202eb", "a\u007fb", "a\u0085b", "\ud800"]) {
    deepEqual(wrong({ contact: evil }), ["contact"], JSON.stringify(evil));
    deepEqual(wrong({ nickname: evil }), ["nickname"], JSON.stringify(evil));
    deepEqual(wrong({ family: [evil] }), ["family.0"], JSON.stringify(evil));
    deepEqual(wrong({ wallet: evil }), ["wallet"], JSON.stringify(evil));
    deepEqual(wrong({ dataDir: `/${evil}` }), ["data_dir"], JSON.stringify(evil));
    deepEqual(wrong({ anonrc: `/${evil}` }), ["anonrc"], JSON.stringify(evil));
  }
});

Deno.test("a contact that could end its value, or be another option, is one option still", () => {
  for (const odd of ['x" \\', "x \\", "# x", '"', "\\", "x\\\\", "%include /etc/passwd"]) {
    const entries = parseAnonrc(planAnonrc(settings({ contact: odd }), "Nickname a\nAfter 1\n").text);
    equal(entries.find(({ option }) => option === "ContactInfo")?.value, odd);
    equal(entries.find(({ option }) => option === "After")?.value, "1");
    equal(entries.filter(({ option }) => option !== undefined).length, 11, odd);
  }
});

Deno.test("names, fingerprints, wallets and paths of another form are refused", () => {
  for (const nickname of ["", "a".repeat(20), "a b", "a-b", "ä", "a."]) deepEqual(wrong({ nickname }), ["nickname"]);
  for (const contact of ["", "   ", "x".repeat(513)]) deepEqual(wrong({ contact }), ["contact"]);
  deepEqual(wrong({ contact: `me @Anon: ${WALLET}` }), ["contact"]);
  const short = FINGERPRINTS[0].slice(1);
  for (const one of [short, `${short}G`, `$$${FINGERPRINTS[0]}`, "nickname", ` ${FINGERPRINTS[0]}`, `${short},A`]) {
    deepEqual(wrong({ family: [FINGERPRINTS[1], one] }), ["family.1"], one);
  }
  deepEqual(wrong({ family: Array.from({ length: 401 }, () => FINGERPRINTS[0]) }), ["family"]);
  for (const wallet of ["", "0x", WALLET.slice(2), `${WALLET}0`, WALLET.replace("BeA", "bea")]) {
    deepEqual(wrong({ wallet }), ["wallet"], wallet);
  }
  for (const path of ["", "etc/anonrc", "~/anonrc"]) deepEqual(wrong({ anonrc: path }), ["anonrc"]);
});

Deno.test("a wallet whose capitals are all alike has no checksum to be wrong", () => {
  equal(isWallet(WALLET.toLowerCase()), true);
  equal(isWallet(`0x${WALLET.slice(2).toUpperCase()}`), true);
  equal(isWallet(WALLET), true);
});

Deno.test("ports out of range, twice, or of the gateway are refused", () => {
  for (const port of [0, -1, 65_536, 1.5, NaN]) deepEqual(wrong({ orPort: port }), ["or_port"], String(port));
  deepEqual(wrong({ socksPort: 70_000, controlPort: -1 }), ["socks_port", "control_port"]);
  deepEqual(wrong({ mode: "client", socksPort: 0 }), ["socks_port"]);
  deepEqual(wrong({ orPort: 9050 }), ["socks_port"]);
  deepEqual(wrong({ controlPort: 9050 }), ["control_port"]);
  deepEqual(wrong({ orPort: 6001 }, [[6001, "the gateway's own"]]), ["or_port"]);
  deepEqual(wrong({ socksPort: 6001 }, [[6001, "the gateway's own"]]), ["socks_port"]);
});

Deno.test("an exit is a relay, and has ports", () => {
  deepEqual(wrong({ exit: true, mode: "client" }), ["exit"]);
  deepEqual(wrong({ exit: true, exitPorts: [] }), ["exit_ports"]);
  for (const port of [0, 65_536, 1.5]) deepEqual(wrong({ exitPorts: [port] }), ["exit_ports"], String(port));
});
