import { deepEqual, equal } from "node:assert/strict";
import type { HistoryOptions } from "../../../src/client/realtime/options.ts";
import { listening, message, Subject } from "./support/realtime.ts";

Deno.test("what was missed and comes behind the answer is counted, and a break in it goes on in its middle", async () => {
  const { subject, subscription, events } = await listening();
  subject.socket.tell(message("t", 1, "p1"));
  subject.answers.subscribe = () => ({
    type: "ok",
    position: "p2",
    recovered: true,
    missed_count: 3,
    missed: [message("t", 2, "p2")],
  });
  await subject.breakOff();
  subject.socket.tell(message("t", 3, "p3"));
  deepEqual([events, subscription.position], [[1, ["recovered", true, undefined, 3], 2, 3], "p3"]);
  subject.answers.subscribe = () => ({ type: "ok", position: "p4", recovered: true, missed: [message("t", 4, "p4")] });
  await subject.breakOff();
  equal(subject.socket.asked[0]!.since, "p3");
  deepEqual(events.slice(4), [["recovered", true, undefined, 1], 4]);
});

Deno.test("a page of history is put together from what answers hold, up to where something is missing", async () => {
  const subject = new Subject();
  const all = Array.from({ length: 30 }, (_, i) => message("t", i + 1, `p${i + 1}`));
  let missing = Infinity;
  subject.answers.history = ({ since, limit }) => {
    const from = since === undefined ? 0 : Number(String(since).slice(1));
    const messages = all.slice(from, from + Math.min(7, Number(limit ?? 100)));
    const position = `p${from + messages.length}`, complete = since === undefined ? undefined : from < missing;
    return { type: "ok", messages, position, more: from + messages.length < 30, complete };
  };
  const realtime = await subject.connect();
  const read = async (options: HistoryOptions) => {
    const { messages, position, more, complete } = await realtime.history("t", options);
    return [messages.length, position, more, complete];
  };
  deepEqual(await read({}), [30, "p30", false, undefined]);
  deepEqual(await read({ since: "p0", limit: 10 }), [10, "p10", true, true]);
  deepEqual(await read({ since: "p10", limit: 20 }), [20, "p30", false, true]);
  missing = 7;
  deepEqual(await read({ since: "p0", limit: 20 }), [7, "p7", true, true]);
  deepEqual(await read({ since: "p7", limit: 5 }), [5, "p12", true, false]);
});
