import { deepEqual, equal, throws } from "node:assert/strict";
import { assertHeld, JsonSource } from "../../../src/http/json_source.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { jsonOf } from "../../../src/contracts/json_text.ts";

const source = (text: string) => new JsonSource(new TextEncoder().encode(text));
const member = (text: string, name: string) => {
  const json = source(text), at = json.member(json.start, name);
  return at === undefined ? undefined : json.text(at);
};

Deno.test("a member's text is what stood there, byte for byte", () => {
  const values = [
    "1",
    "-0",
    "0.10000000000000000555",
    "123456789012345678901234567890",
    "1E+2",
    "true",
    "null",
    '""',
    '"a\\"b\\\\"',
    '"\\\\\\\\"',
    '"\\\\\\""',
    '"}],{:\\u0022"',
    '"\\ud800"',
    '"é😀\u2028"',
    "[]",
    "{}",
    '[ 1 ,\t[ { "value" : 2 } ] ]',
    '{"value":{"value":"}"},"x":[]}',
  ];
  for (const value of values) {
    for (
      const [before, after] of [['{"value":', "}"], [' {"a":[1,{}],\n"value" : ', ' , "z":"}"} '], [
        '\ufeff{"value":',
        "\r\n}",
      ]]
    ) {
      equal(member(before + value + after, "value"), value, before + value + after);
    }
  }
});

Deno.test("of several members of one name the last counts, however it is spelled", () => {
  equal(member('{"value":1,"value":2}', "value"), "2");
  equal(member('{"value":1,"\\u0076alue":3}', "value"), "3");
  equal(member('{"values":1,"x":{"value":4}}', "value"), undefined);
  equal(member('{"__proto__":5}', "__proto__"), "5");
  equal(member("{}", "value"), undefined);
  equal(member("{ }", "value"), undefined);
});

Deno.test("the items of a list are found", () => {
  for (const list of ["[]", "[ ]", "[1]", '[ "a,b" , [2,3] ,{"x":[4]} ]', "[[[]],[]]"]) {
    const json = source(list);
    deepEqual(json.items(json.start).map((at) => JSON.parse(json.text(at))), JSON.parse(list), list);
  }
});

Deno.test("whatever JSON there is, its parts are those that a parser finds", () => {
  let seed = 7;
  const random = (n: number) => (seed = (seed * 48271) % 2147483647) % n;
  const blank = () => ["", "", " ", "\n\t", "\r "][random(5)]!;
  const texts = ['"', "\\", "{", "}]", ",:", "é", "\u0000", "😀", "a", ""];
  const value = (depth: number): string => {
    const kind = random(depth > 3 ? 4 : 6);
    if (kind === 0) return String(random(1000) - 500);
    if (kind === 1) return ["true", "false", "null", "1.5e3", "-0.25"][random(5)]!;
    if (kind < 4) return JSON.stringify(Array.from({ length: random(4) }, () => texts[random(texts.length)]).join(""));
    const inside = Array.from(
      { length: random(4) },
      (_, i) =>
        blank() + (kind === 4 ? "" : `${JSON.stringify(`${texts[random(texts.length)]}${i}`)}${blank()}:${blank()}`) +
        value(depth + 1) + blank(),
    );
    return kind === 4 ? `[${inside.join(",")}${inside.length ? "" : blank()}]` : `{${inside.join(",")}}`;
  };
  for (let round = 0; round < 3_000; round++) {
    const text = `${blank()}{"a":${value(0)},"value"${blank()}:${blank()}${value(0)}${blank()},"list":[${value(0)},${
      value(0)
    }]}${blank()}`;
    const json = source(text), parsed = JSON.parse(text);
    for (const name of ["a", "value"]) {
      const found = json.text(json.member(json.start, name)!);
      deepEqual(JSON.parse(found), parsed[name], text);
      equal(found, found.trim());
    }
    deepEqual(json.items(json.member(json.start, "list")!).map((at) => JSON.parse(json.text(at))), parsed.list, text);
  }
});

Deno.test("numbers that no double holds are refused by the name of their field, and no others", () => {
  const held = (text: string) => assertHeld(text, jsonOf(text), "value");
  for (const text of ["1e400", "-1e400", '[{"a":[1E999]}]', "9".repeat(400), `{"x":1,"y":-${"9".repeat(309)}.5}`]) {
    throws(() => held(text), (error: GatewayError) => {
      deepEqual([error.code, (error.extra.details as { field: string }[])[0]!.field], ["INVALID_REQUEST", "value"]);
      return true;
    }, text);
  }
  for (const text of ["1e308", "1e-400", '"1e400"', '{"1e400":1}', "9".repeat(300), "12345678901234567890", "[]"]) {
    held(text);
  }
});
