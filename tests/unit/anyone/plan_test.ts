import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import { parseAnonrc } from "../../../services/anyone/anonrc.ts";
import { planAnonrc, walletIn } from "../../../services/anyone/plan.ts";
import { type AnyoneSettings, AnyoneSettingsError } from "../../../services/anyone/settings.ts";
import { FINGERPRINTS, settings, WALLET } from "./support/settings.ts";

const after = (before: string | undefined, changes: Partial<AnyoneSettings> = {}) =>
  planAnonrc(settings(changes), before).text;

const values = (text: string, option: string) =>
  parseAnonrc(text).filter((entry) => entry.option === option).map(({ value }) => value);

Deno.test("a relay is made from nothing, reached by others at its port alone, and no exit", () => {
  equal(
    after(undefined, { family: [FINGERPRINTS[0], `$${FINGERPRINTS[1].toLowerCase()}`], wallet: WALLET }),
    [
      "Nickname tester",
      `ContactInfo me@example.org @anon:${WALLET}`,
      `MyFamily ${FINGERPRINTS[0]},${FINGERPRINTS[1]}`,
      "ORPort 9001",
      "ExitRelay 0",
      "ExitPolicy reject *:*",
      "SocksPort 127.0.0.1:9050",
      "ControlPort 127.0.0.1:9051",
      "CookieAuthentication 1",
      "DataDirectory /var/lib/anon",
      "Log notice file /var/log/anon/notices.log",
      "",
    ].join("\n"),
  );
});

Deno.test("a client is made from nothing, and has no port for others", () => {
  const text = after(undefined, { mode: "client", agreeToTerms: true });
  deepEqual(values(text, "ORPort"), []);
  deepEqual(values(text, "SocksPort"), ["127.0.0.1:9050"]);
  deepEqual(values(text, "AgreeToTerms"), ["1"]);
  equal(text.includes("Nickname"), false);
});

Deno.test("what was planned once is not changed again", () => {
  const changes = [
    {},
    { mode: "client" as const },
    { exit: true, exitPorts: [443, 8443], wallet: WALLET, agreeToTerms: true, socksPort: 0, controlPort: 0 },
    { contact: 'odd # "one" \\ ', family: [...FINGERPRINTS] },
  ];
  for (const one of changes) {
    const text = after("Sandbox 1\n", one);
    equal(planAnonrc(settings(one), text).changed, false, JSON.stringify(one));
  }
});

Deno.test("the file that the network's own installer writes stays as it is, but for the proxy", () => {
  const before = [
    "Log notice file /var/log/anon/notices.log",
    "ORPort 9001 IPv4Only",
    "AddressDisableIPv6",
    "ControlPort 9051",
    "SocksPort 0",
    "ExitRelay 0",
    "IPv6Exit 0",
    "ExitPolicy reject *:*",
    "ExitPolicy reject6 *:*",
    "",
    "BandwidthRate 10 Mbit",
    "Nickname other",
    `ContactInfo somebody @anon: ${WALLET}`,
    `MyFamily ${FINGERPRINTS[0]}`,
    "",
  ].join("\n");
  const { lines } = planAnonrc(settings({ nickname: undefined, contact: undefined }), before);
  deepEqual(lines.filter(({ sign }) => sign !== " ").map(({ sign, line }) => sign + line), [
    "-SocksPort 0",
    "+SocksPort 127.0.0.1:9050",
    "+CookieAuthentication 1",
    "+DataDirectory /var/lib/anon",
  ]);
});

Deno.test("name, contact, wallet and family of a relay stay where the settings say nothing of them", () => {
  const before = `Nickname old\nContactInfo "them # there" @anon:x\nContactInfo them @anon: ${WALLET}\nMyFamily ${
    FINGERPRINTS[0]
  }\n`.replace(/^ContactInfo "them.*\n/m, "");
  const text = after(before, { nickname: undefined, contact: undefined });
  deepEqual(values(text, "Nickname"), ["old"]);
  deepEqual(values(text, "ContactInfo"), [`them @anon: ${WALLET}`]);
  deepEqual(values(text, "MyFamily"), [FINGERPRINTS[0]]);
  deepEqual(values(after(before, { contact: "new" }), "ContactInfo"), [`new @anon:${WALLET}`]);
  const other = WALLET.replace("5a", "6b").toLowerCase();
  deepEqual(values(after(before, { contact: undefined, wallet: other }), "ContactInfo"), [`them @anon:${other}`]);
});

Deno.test("a relay without a name or a contact, there or in the settings, is refused with what is missing", () => {
  const lacks = (setting: string, changes: Partial<AnyoneSettings>, before?: string) =>
    throws(() => after(before, changes), (error) => {
      ok(error instanceof AnyoneSettingsError);
      return error.problems[0]!.setting === setting;
    });
  lacks("anyone.nickname", { nickname: undefined });
  lacks("anyone.nickname", { nickname: undefined }, "Nickname not-a-name\n");
  lacks("anyone.contact", { contact: undefined });
  lacks("anyone.contact", { contact: undefined }, `ContactInfo @anon: ${WALLET}\n`);
});

Deno.test("whatever a file allowed to leave, a relay that is no exit lets nothing leave", () => {
  for (
    const before of [
      "ExitRelay 1\n",
      "exitrelay auto\nExitPolicy accept *:*\n",
      "ExitRel 1\nReducedExitPolicy 1\n",
      "ExitRelay 0\nExitRelay 1\n",
      "+ExitPolicy accept *:25\n",
      "ExitPolicy reject *:*, accept *:80\n",
    ]
  ) {
    const text = after(before);
    deepEqual(values(text, "ExitRelay"), ["0"], before);
    deepEqual(values(text, "ExitPolicy"), ["reject *:*"], before);
    equal(/^exitrel\s/im.test(text), false, before);
  }
});

Deno.test("an exit lets traffic leave to its ports and to no others", () => {
  const plan = planAnonrc(settings({ exit: true }), "ExitPolicy accept *:*\nNickname x\n");
  deepEqual(values(plan.text, "ExitPolicy"), ["accept *:80", "accept *:443", "reject *:*"]);
  deepEqual(values(plan.text, "ExitRelay"), ["1"]);
  equal(plan.exit, true);
});

Deno.test("a proxy or control port that others can reach is brought back to this machine", () => {
  for (
    const before of [
      "SocksPort 0.0.0.0:9050\n",
      "SocksPort [::]:9050 IsolateDestAddr\n",
      "SocksPort 127.0.0.1:9050\nSocksPort 192.168.0.7:9060\n",
      "SocksPort example.org:9050\n",
      "SocksPort 9055\n",
      "SocksPort auto\n",
    ]
  ) deepEqual(values(after(before), "SocksPort"), ["127.0.0.1:9050"], before);
  for (const value of ["9050", "127.0.0.1:9050 IsolateDestAddr", "localhost:9050", "[::1]:9050"]) {
    deepEqual(values(after(`SocksPort ${value}\nSocksPort unix:/run/anon/socks\n`), "SocksPort"), [
      value,
      "unix:/run/anon/socks",
    ]);
  }
  deepEqual(values(after("ControlPort 0.0.0.0:9051\n"), "ControlPort"), ["127.0.0.1:9051"]);
});

Deno.test("a port for others may have an address, flags and another beside it", () => {
  const before = "ORPort 443 NoListen\nORPort 10.0.0.1:9001 NoAdvertise\nORPort [2001:db8::1]:9001\n";
  ok(after(before).startsWith(before));
  deepEqual(values(after(before, { orPort: 9002 }), "ORPort"), ["9002"]);
});

Deno.test("the keys stay where the file has them, unless the settings say otherwise", () => {
  equal(planAnonrc(settings(), "DataDirectory /srv/anon\n").dataDir, "/srv/anon");
  equal(planAnonrc(settings({ dataDir: "/srv/b c" }), "DataDirectory /srv/anon\n").dataDir, "/srv/b c");
  deepEqual(values(after("DataDirectory /srv/anon\n", { dataDir: "/srv/b c" }), "DataDirectory"), ["/srv/b c"]);
});

Deno.test("the operator is told what else in the file stands against it", () => {
  const notes = (before: string, changes: Partial<AnyoneSettings> = {}) =>
    planAnonrc(settings({ wallet: WALLET, agreeToTerms: true, ...changes }), before).notes.join("\n");
  equal(notes(""), "");
  match(notes("ClientOnly 1\n"), /ClientOnly 1: it will not be a relay/);
  match(notes("bridgerelay 1\n"), /bridge/);
  match(notes("PublishServerDescriptor 0\n"), /nobody will learn/);
  match(notes("%include /etc/anon/conf.d/*.conf\n"), /includes others/);
  match(notes("", { wallet: undefined }), /rewards/);
  match(notes("", { agreeToTerms: false }), /terms/);
  equal(notes("AgreeToTerms 1\n", { agreeToTerms: false }), "");
  match(notes("ORPort 9001\n", { mode: "client" }), /none any more/);
  equal(notes("ORPort 0\n", { mode: "client" }), "");
});

Deno.test("the wallet of a contact is found as whoever pays finds it, if its checksum is right", () => {
  equal(walletIn(`me @anon: ${WALLET}`), WALLET);
  equal(walletIn(`me @ANON:${WALLET} more`), WALLET);
  equal(walletIn(`me @anon:${WALLET.slice(0, -1)}`), undefined);
  equal(walletIn(`me @anon:${WALLET}0`), undefined);
  equal(walletIn(`me ${WALLET}`), undefined);
  equal(walletIn(`me @anon:${WALLET.replace("aAe", "aae")}`), undefined);
});
