import { deepEqual, equal, ok, throws } from "node:assert/strict";
import type { Target } from "../../../../services/egress/parts.ts";
import { isLocalName, isProxyOnlyName, targetOf, urlOf } from "../../../../services/egress/targets/target.ts";
import { EgressFailure } from "../../../../src/contracts/egress.ts";
import { randomFrom } from "./support/random.ts";

const refused = (url: string, sentence: RegExp, base?: Target | URL) =>
  throws(
    () => targetOf(url, base),
    (error) => {
      ok(error instanceof EgressFailure, url);
      equal(error.code, "EGRESS_REQUEST_INVALID", url);
      ok(sentence.test(error.message), `${JSON.stringify(url.slice(0, 80))}: ${error.message}`);
      return true;
    },
  );

Deno.test("a refusal says what to write instead", () => {
  refused("file:///etc/passwd", /must begin with http:\/\/ or https:\/\//);
  refused("example.com", /must begin with http/);
  refused("http:example.com", /must begin with http/);
  refused("http:///example.com", /host after two slashes/);
  refused("http://user:secret@example.com/", /send an Authorization header/);
  refused("http://@example.com/", /send an Authorization header/);
  refused("http://exa mple.com/", /without blanks/);
  refused("http://example.com\\@example.org/", /backslashes/);
  refused("http://[fe80::1%25eth0]/", /without a zone/);
  refused("http://example.com:0/", /port must be a number from 1 to 65535/);
  refused("http://example.com:65536/", /port from 1 to 65535/);
  refused("http://a..example.com/", /between any two dots/);
  refused("http://a*b.example.com/", /letters, digits/);
  refused(`http://${"a".repeat(64)}.example.com/`, /63 characters/);
  refused(`http://${"a.".repeat(200)}com/`, /253 characters/);
  refused(`http://example.com/${"a".repeat(8_192)}`, /8192 characters/);
  refused("http://example.com/\udc00", /half of one/);
});

Deno.test("names and URLs may be as long as they may be, and not by one more", () => {
  const name = `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(61)}`;
  equal(targetOf(`http://${name}/`).host.length, 253);
  equal(targetOf(`http://${name}./`).host.length, 253);
  refused(`http://${name}d/`, /253/);
  const start = "http://a.example/";
  equal(targetOf(start + "a".repeat(8_192 - start.length)).path.length, 8_192 - start.length + 1);
  refused(start + "a".repeat(8_193 - start.length), /8192/);
  refused(start + "é".repeat(1_400), /8192/);
});

Deno.test("a control character, blank or backslash is refused wherever it stands", () => {
  const url = "http://a.example:80/b?c#d";
  const bad = [...Array.from({ length: 33 }, (_, i) => String.fromCharCode(i)), "\x7f", "\x80", "\x9f", "\xa0"];
  for (const char of [...bad, "\\", "\u1680", "\u2003", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"]) {
    for (let at = 0; at <= url.length; at++) {
      refused(url.slice(0, at) + char + url.slice(at), /without blanks/);
      refused(url.slice(0, at) + char + url.slice(at), /without blanks/, new URL("http://b.example/"));
    }
  }
});

Deno.test("a target has the path and query as they are sent, and no fragment", () => {
  const paths = {
    "": "/",
    "?": "/?",
    "?a": "/?a",
    "#a": "/",
    "/#?a": "/",
    "/a/../b/./c": "/b/c",
    "/%2e%2e/a": "/a",
    "/a%2Fb": "/a%2Fb",
    "/é?ü=ß": "/%C3%A9?%C3%BC=%C3%9F",
    "/a'b?a'b": "/a'b?a%27b",
    "//a//b": "//a//b",
    "/%zz": "/%zz",
    "/a?b?c#d?e": "/a?b?c",
  };
  deepEqual(
    Object.fromEntries(Object.keys(paths).map((path) => [path, targetOf(`https://a.example${path}`).path])),
    paths,
  );
});

Deno.test("a target tells what its host is", () => {
  const of = (url: string) => {
    const { host, kind, port, scheme } = targetOf(url);
    return [scheme, kind, host, port];
  };
  deepEqual(of("https://A.Example.:8443/"), ["https", "name", "a.example", 8_443]);
  deepEqual(of("http://0x08.8.2056/"), ["http", "ipv4", "8.8.8.8", 80]);
  deepEqual(of("https://[2606:4700:0:0::1]/"), ["https", "ipv6", "2606:4700::1", 443]);
  deepEqual(of("http://a.example:443/"), ["http", "name", "a.example", 443]);
  deepEqual(of("https://bücher。example/"), ["https", "name", "xn--bcher-kva.example", 443]);
  equal(urlOf(targetOf("https://[2606:4700::1]/a?b")), "https://[2606:4700::1]:443/a?b");
});

Deno.test("a redirect is read from where it stands, by a target as by a URL", () => {
  for (const base of [targetOf("https://a.example:8443/b/c?d#e"), new URL("https://a.example:8443/b/c?d#e")]) {
    const led = (location: string) => urlOf(targetOf(location, base));
    equal(led("/x"), "https://a.example:8443/x");
    equal(led("x/y?z"), "https://a.example:8443/b/x/y?z");
    equal(led("../../../x"), "https://a.example:8443/x");
    equal(led("?x"), "https://a.example:8443/b/c?x");
    equal(led("#x"), "https://a.example:8443/b/c?d");
    equal(led("//b.example/x"), "https://b.example:443/x");
    equal(led("//b.example:1/x"), "https://b.example:1/x");
    equal(led("//127.1"), "https://127.0.0.1:443/");
    equal(led("HTTP://127.1/"), "http://127.0.0.1:80/");
    equal(led("/x:y@z"), "https://a.example:8443/x:y@z");
    equal(led("/x//b.example"), "https://a.example:8443/x//b.example");
  }
});

Deno.test("a redirect cannot leave its server by what programs read in different ways", () => {
  const base = targetOf("https://a.example/b");
  for (
    const location of ["http:x", "https:/x", "https:///b.example", "http:", "javascript:alert(1)", "file:///x", "x:y"]
  ) {
    refused(location, /must begin with http|host after two slashes/, base);
  }
  refused("///b.example/", /host after two slashes/, base);
  refused("//", /host after two slashes/, base);
  refused("//u@b.example/", /without a user/, base);
  refused("/\\b.example/", /backslashes/, base);
  refused("\\\\b.example/", /backslashes/, base);
  refused("/\t/b.example/", /without blanks/, base);
  refused("//b.example:0/", /port/, base);
  refused("/x", /without a user/, new URL("https://user:password@a.example/"));
  refused("/x", /must begin with http/, new URL("ftp://a.example/"));
  refused("x", /must begin with http/, new URL("file:///a/b"));
});

Deno.test("random texts are a target that is read as itself once more, or are refused with a sentence", () => {
  const random = randomFrom(7);
  const parts = [
    ...[
      "http://",
      "https:",
      "//",
      "/",
      "\\",
      "@",
      ":",
      "#",
      "?",
      "[",
      "]",
      "%",
      "%2e",
      ".",
      "。",
      "127",
      "0x7f",
      "1",
      "::",
    ],
    ...[
      "ffff",
      "a",
      "é",
      "example",
      "com",
      "localhost",
      "\t",
      " ",
      "-",
      "_",
      "xn--",
      "①",
      "80",
      "\u00ad",
      "*",
      "\ud800",
      "&",
    ],
  ];
  let taken = 0;
  for (let i = 0; i < 20_000; i++) {
    const url = `${random(4) ? "http://" : ""}${
      Array.from({ length: 1 + random(7) }, () => parts[random(parts.length)]).join("")
    }`;
    let target: Target;
    try {
      target = targetOf(url);
    } catch (error) {
      ok(error instanceof EgressFailure, `${JSON.stringify(url)}: ${error}`);
      continue;
    }
    taken++;
    deepEqual(targetOf(urlOf(target)), target, url);
    // However the host is called, nobody can end up elsewhere by what stands in it.
    const plain = { name: /^[a-z\d_-]+(\.[a-z\d_-]+)*$/, ipv4: /^\d+(\.\d+){3}$/, ipv6: /^[\da-f:]+$/ }[target.kind];
    ok(plain.test(target.host), url);
    ok(/^\/[!-~]*$/.test(target.path) && !target.path.includes("#"), url);
    equal(target.host, new URL(url).hostname.replace(/^\[|\]$|\.$/g, ""), url);
  }
  ok(taken > 1_000, String(taken));
});

Deno.test("a URL that is made to be read for long is not", () => {
  const start = performance.now();
  for (
    const part of [
      "[",
      "%",
      "a.",
      "[%",
      "@",
      "//",
      "?",
      "#",
      "\u00ad",
      "ü.",
      "%C3%BC.",
      "xn--",
      ".",
      "0x.",
      "..%2f",
      ":",
    ]
  ) {
    const most = Math.floor(8_000 / part.length);
    for (
      const url of [`http://${part.repeat(most)}`, `http://a.example/${part.repeat(most)}`, part.repeat(most * 100)]
    ) {
      try {
        targetOf(url);
      } catch (error) {
        ok(error instanceof EgressFailure, part);
      }
    }
    isLocalName(`${part.repeat(most)}a`);
    isProxyOnlyName(`${part.repeat(most)}a`);
  }
  const took = performance.now() - start;
  ok(took < 2_000, `${took} ms`);
});
