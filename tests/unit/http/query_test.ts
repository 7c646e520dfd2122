import { deepEqual, equal } from "node:assert/strict";
import { z } from "zod";
import { ok as okReply } from "../../../src/http/reply.ts";
import { appOf, route } from "./support.ts";

const app = appOf([
  route({
    query: z.object({ topic: z.string().optional(), limit: z.coerce.number().optional() }),
    handle: ({ query }) => okReply({ query }),
  }),
]);

Deno.test("bytes in an address that are no UTF-8 are refused, and the field named, wherever in it they stand", async () => {
  const broken = [
    "%FF",
    "a%ffb",
    "%C3",
    "%C3%",
    "%C3a",
    "%E2%82",
    "%C0%AF",
    "%ED%A0%80",
    "%F4%90%80%80",
    "%80",
    "%E2%82+%AC",
  ];
  for (const text of broken) {
    for (
      const query of [`topic=${text}`, `topic=a&topic=${text}`, `topic=${text}&topic=a`, `x=1&%74opic=${text}&limit=1`]
    ) {
      const refused = await app.call(`GET /v1/thing?${query}`);
      equal(refused.status, 400, query);
      const problem = "must be percent-encoded UTF-8";
      const { code, error, details } = refused.json();
      deepEqual([code, error, details], ["INVALID_REQUEST", `topic: ${problem}`, [{ field: "topic", problem }]]);
    }
  }
});

Deno.test("everything else in an address is taken as it always was", async () => {
  const read = async (query: string) => (await app.call(`GET /v1/thing?${query}`)).json().query;
  const texts = [
    ["%C3%A4", "ä"],
    ["%F0%9F%98%80", "😀"],
    ["%EF%BF%BD", "\ufffd"],
    ["%EF%BB%BFa", "\ufeffa"],
    ["100%", "100%"],
    [
      "%zz%4",
      "%zz%4",
    ],
    ["a+b", "a b"],
    ["", ""],
  ];
  for (const [given, text] of texts) deepEqual(await read(`topic=${given}`), { topic: text });
  // Nobody reads it.
  deepEqual(await read("utm=%FF&topic=a"), { topic: "a" });
  deepEqual(await read(""), {});
});
