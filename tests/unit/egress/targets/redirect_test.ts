import { deepEqual, equal, throws } from "node:assert/strict";
import { isCrossOrigin, nextOf, type Redirection } from "../../../../services/egress/targets/redirect.ts";
import { targetOf, urlOf } from "../../../../services/egress/targets/target.ts";

const FROM: Redirection = {
  status: 302,
  location: "/next",
  method: "GET",
  target: targetOf("https://a.example/first"),
  hasReplayableBody: true,
};
const next = (change: Partial<Redirection>) => nextOf({ ...FROM, ...change });
const shortly = (change: Partial<Redirection>) => {
  const found = next(change);
  return found === "answer as is" ? found : `${found.method} ${found.keepsBody ? "with" : "without"} body`;
};

Deno.test("a redirect to what cannot be requested is the server's fault, and says why", () => {
  const refused = (location: string, message: RegExp) =>
    throws(() => next({ location }), { name: "EgressFailure", code: "EGRESS_RESPONSE_INVALID", message }, location);
  const start = "^the server redirects to a URL that cannot be requested: ";
  for (
    const location of ["file:///etc/passwd", "ftp://a/", "data:text/plain,a", "gopher://127.0.0.1/", "javascript:1"]
  ) {
    refused(location, new RegExp(`${start}the URL must begin with http`));
  }
  refused("//user@127.0.0.1/", new RegExp(`${start}.*user`));
  refused("/a\r\nHost: b", new RegExp(`${start}.*blanks`));
  refused("/\\127.0.0.1/", new RegExp(`${start}.*backslashes`));
  refused("http://1.2.3.4.5/", new RegExp(`${start}.*host`));
  refused("https://a.example:0/", new RegExp(`${start}.*port`));
  refused(`/${"a".repeat(8_192)}`, new RegExp(`${start}.*8192`));
});

Deno.test("a redirect from https to http is refused, wherever it leads, and the other way is not", () => {
  for (const location of ["http://a.example/next", "http://b.example/", "HTTP://a.example:443/", "http://127.0.0.1/"]) {
    for (const status of [301, 302, 303, 307, 308]) {
      throws(
        () => next({ location, status }),
        { code: "EGRESS_TARGET_REFUSED", message: /from https to http/ },
        location,
      );
    }
  }
  const up = next({ location: "https://a.example/", target: targetOf("http://a.example/") });
  equal(up === "answer as is" ? up : urlOf(up.target), "https://a.example:443/");
});

Deno.test("methods and bodies are kept or not as the standards have it", () => {
  const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
  const table = (status: number) => methods.map((method) => shortly({ status, method }));
  const old = [
    "GET with body",
    "HEAD with body",
    "GET without body",
    "PUT with body",
    "PATCH with body",
    "DELETE with body",
  ];
  deepEqual(table(301), old);
  deepEqual(table(302), old);
  deepEqual(table(303), ["GET", "HEAD", "GET", "GET", "GET", "GET"].map((method) => `${method} without body`));
  deepEqual(table(307), methods.map((method) => `${method} with body`));
  deepEqual(table(308), methods.map((method) => `${method} with body`));
});

Deno.test("a body that is gone is not sent again: where it would be needed, the redirect is the answer", () => {
  const gone = { hasReplayableBody: false };
  for (const status of [307, 308]) equal(shortly({ ...gone, status, method: "POST" }), "answer as is");
  for (const status of [301, 302]) equal(shortly({ ...gone, status, method: "PUT" }), "answer as is");
  for (const status of [301, 302, 303]) equal(shortly({ ...gone, status, method: "POST" }), "GET without body");
  equal(shortly({ ...gone, status: 303, method: "PUT" }), "GET without body");
  equal(
    next({ ...gone, status: 307, method: "POST", location: "file:///etc/passwd" }),
    "answer as is",
    "nobody goes there",
  );
});

Deno.test("what redirects nowhere is the answer", () => {
  for (const status of [200, 201, 300, 304, 305, 306, 309, 399, 400, 503]) equal(shortly({ status }), "answer as is");
  for (const location of [undefined, "", " ", "\t "]) {
    equal(shortly({ location }), "answer as is", JSON.stringify(location));
  }
});

Deno.test("a Location is read from where the response came, with blanks around it, and as UTF-8 where it is that", () => {
  const led = (location: string) => {
    const found = next({ location });
    return found === "answer as is" ? found : urlOf(found.target);
  };
  equal(led(" b "), "https://a.example:443/b");
  equal(led("//b.example#c"), "https://b.example:443/");
  equal(led("https://127.1/"), "https://127.0.0.1:443/", "what is at the other end is for others to check");
  equal(led("/\xc3\xa9"), "https://a.example:443/%C3%A9");
  equal(led("/\xe9"), "https://a.example:443/%C3%A9", "no UTF-8: Latin-1 then");
  equal(led("/é日"), "https://a.example:443/%C3%A9%E6%97%A5", "text already");
  equal(led("//b\xc3\xbccher.example/"), "https://xn--bcher-kva.example:443/");
  equal(led("https://127\xe3\x80\x820\xe3\x80\x820\xe3\x80\x821/"), "https://127.0.0.1:443/");
  throws(() => led("/\xe2\x80\xa8"), { code: "EGRESS_RESPONSE_INVALID" }, "a line separator that was hidden in bytes");
});

Deno.test("another server is one by scheme, host or port", () => {
  const crosses = (a: string, b: string) => isCrossOrigin(targetOf(a), targetOf(b));
  equal(crosses("https://a.example/", "https://A.example.:443/b?c"), false);
  equal(crosses("http://a.example/", "https://a.example/"), true);
  equal(crosses("http://a.example:443/", "https://a.example/"), true);
  equal(crosses("https://a.example/", "https://a.example:8443/"), true);
  equal(crosses("https://a.example/", "https://b.a.example/"), true);
  const found = next({ location: "//b.example/" }), same = next({ location: "/" });
  equal(found !== "answer as is" && found.crossOrigin, true);
  equal(same !== "answer as is" && same.crossOrigin, false);
});

Deno.test("a Location that is made to be read for long is not", () => {
  const start = performance.now();
  for (
    const location of [
      `a${" \t".repeat(100_000)}a`,
      " ".repeat(200_000),
      `//${"[".repeat(200_000)}`,
      "\xc3".repeat(200_000),
    ]
  ) {
    try {
      next({ location });
    } catch (error) {
      equal(error instanceof Error && error.name, "EgressFailure");
    }
  }
  const took = performance.now() - start;
  equal(took < 500, true, `${took} ms`);
});
