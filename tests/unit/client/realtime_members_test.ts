import { deepEqual, equal } from "node:assert/strict";
import { settled } from "../cache/support/fake_clock.ts";
import { listening, Subject } from "./support/realtime.ts";

const member = (id: string) => ({ id, joined_at: 1, connections: 1 });
const members = (...ids: string[]) => ids.map(member);
const change = (type: "join" | "leave", id: string) => ({ type, topic: "t", member: member(id), at: 7 });

/** A client that is subscribed where the list of members comes in parts. */
async function crowded() {
  const subject = new Subject();
  subject.answers.subscribe = () => ({ type: "ok", members: members("a", "b"), members_next: "n1" });
  const asked: unknown[] = [];
  const parts: Record<string, Record<string, unknown>> = {
    n1: { members: members("c", "d"), next: "n2" },
    n2: { members: members("e") },
  };
  subject.answers.presence = ({ after }) => {
    asked.push(after);
    return { type: "ok", count: 5, ...parts[String(after)] };
  };
  const realtime = await subject.connect();
  const subscription = realtime.subscribe("t", { presence: true });
  const events: unknown[] = [];
  for (const kind of ["join", "leave"] as const) subscription.on(kind, ({ member }) => events.push([kind, member.id]));
  const ids = () => subscription.members.map(({ id }) => id).sort();
  return { subject, realtime, subscription, events, asked, parts, ids };
}

Deno.test("a long list of members is fetched to its end, and nobody in it counts as gone before", async () => {
  const { subject, events, asked, parts, ids } = await crowded();
  await settled();
  deepEqual([ids(), asked.splice(0)], [["a", "b", "c", "d", "e"], ["n1", "n2"]]);
  // The first part is the beginning; who stands in the others is told as they come.
  deepEqual(events.splice(0), [["join", "c"], ["join", "d"], ["join", "e"]]);
  parts["n1"] = { members: members("d"), next: "n2" };
  parts["n2"] = { members: members("f") };
  await subject.breakOff();
  await settled();
  deepEqual([ids(), asked], [["a", "b", "d", "f"], ["n1", "n2"]]);
  deepEqual(events, [["leave", "c"], ["leave", "e"], ["join", "f"]]);
});

Deno.test("who comes and leaves while the list is fetched is right at its end", async () => {
  const { subject, asked, ids } = await crowded();
  const answers: (() => void)[] = [];
  subject.answers.presence = ({ after, id }, socket) => {
    asked.push(after);
    const part = after === "n1" ? { members: members("c", "d"), next: "n2" } : { members: members("e") };
    answers.push(() => socket.tell({ id, type: "ok", ...part }));
    return undefined;
  };
  await settled();
  subject.socket.tell(change("join", "x"), change("leave", "a"));
  answers.shift()!();
  subject.socket.tell(change("leave", "c"), change("join", "y"), change("leave", "y"));
  await settled();
  answers.shift()!();
  deepEqual([ids(), asked], [["b", "d", "e", "x"], ["n1", "n2"]]);
});

Deno.test("a list that another one overtakes is not gone on with, and one without an end ends", async () => {
  const { subject, parts, asked, ids } = await crowded();
  await settled();
  parts["undefined"] = { members: members("a", "z"), next: "n9" };
  parts["n9"] = { members: [], next: "n9" };
  asked.length = 0;
  subject.socket.tell({ type: "gap", topic: "t", reason: "slow" }, { type: "gap", topic: "t", reason: "slow" });
  await settled();
  deepEqual([ids(), asked], [["a", "z"], [undefined, undefined, "n9"]]);
});

Deno.test("presence() answers with everybody, however many answers that takes", async () => {
  const { subject, realtime } = await listening();
  const parts: Record<string, Record<string, unknown>> = {
    undefined: { members: members("a", "b"), next: "n1" },
    n1: { members: members("b", "c"), next: "n2" },
    n2: { members: [], next: "n2" },
  };
  subject.answers.presence = ({ after }) => ({ type: "ok", count: 4, ...parts[String(after)] });
  const told = await realtime.presence("t");
  deepEqual(told.members.map(({ id }) => id), ["a", "b", "c"]);
  equal(told.count, 4);
});
