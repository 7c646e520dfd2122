import { deepEqual, ok } from "node:assert/strict";
import { awaitedLater } from "../support/awaited_later.ts";
import { Chance } from "../unit/pubsub_cluster/support/random.ts";
import { ClientParticipant, type CrowdOptions, type Participant } from "./support/live_crowd.ts";
import { LINKING, type LiveCluster, liveTest } from "./support/live_gateways.ts";
import { faultsOf, judge, type Verdict } from "./support/live_judge.ts";
import { Ledger } from "./support/live_ledger.ts";
import { RawParticipant } from "./support/live_raw.ts";
import { beginTurmoil, type Turmoil } from "./support/live_turmoil.ts";
import { until } from "./support/wait.ts";

/** From which everything follows that is left to chance, but for what the machine does: `TEST_TURMOIL_SEED`. */
const SEED = Number(Deno.env.get("TEST_TURMOIL_SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]);
/** Seconds of turmoil: `TEST_TURMOIL_SECONDS`. */
const SECONDS = Number(Deno.env.get("TEST_TURMOIL_SECONDS") ?? 75);
/** Who takes part; of these some speak the protocol by themselves. */
const CROWD = 200, RAW = 30;
const TOPICS = Array.from({ length: 12 }, (_, i) => `topic ${i}`), TOPICS_EACH = 2;
/** Milliseconds between two things that one of them does. */
const PAUSE = [500, 8_000] as const;
/** Milliseconds for everything to have been told when all is well again: a gateway that ended counts as lost after a minute. */
const SETTLED = 150_000;
/** Of what went wrong, so much is shown. */
const SHOWN = 10;

const config = {
  log: { level: "info" },
  pubsub: { driver: "libp2p", history: { size: 300 }, idle_timeout: "8s" },
};

/** Does this and that until it is over. */
async function live(who: Participant, topics: readonly string[], chance: Chance, isOver: () => boolean): Promise<void> {
  const publishing: Promise<void>[] = [];
  while (!isOver()) {
    await sleep(chance.between(...PAUSE));
    const dice = chance.next();
    if (isOver()) break;
    if (dice < 0.82) publishing.push(awaitedLater(who.publish(chance.pick(topics))));
    else if (dice < 0.93) who.breakOff();
    else {
      who.leave();
      await sleep(chance.happens(0.7) ? chance.between(0, 1_000) : chance.between(1_000, 10_000));
      who.comeBack();
    }
  }
  await Promise.all(publishing);
}

/** A message of each gateway in each topic, by which it is seen that everything before it has come. */
async function lastWords({ places, key }: LiveCluster, ledger: Ledger): Promise<void> {
  for (const topic of TOPICS) {
    for (const { gateway, life } of places) {
      const id = ledger.make(topic);
      ledger.sending(id, life, `HTTP at ${life}`);
      (await gateway.call("POST", "/v1/pubsub/publish", { ...key, body: { topic, data: { m: id } } })).expect(200);
      ledger.acknowledge(id);
    }
  }
}

liveTest(
  "200 clients on three gateways that are killed, stopped and paused: each has all, or was told that it has not",
  3,
  config,
  async (cluster) => {
    await print(`seed ${SEED}\n`);
    const ledger = new Ledger();
    const options: CrowdOptions = {
      apiKey: cluster.owner.apiKey,
      ledger,
      door: (chance) => {
        const { gateway, life } = chance.pick(cluster.places.filter(({ isRunning }) => isRunning));
        return { url: gateway.url, life };
      },
    };
    let over = false;
    const lives: Promise<void>[] = [];
    const crowd = Array.from({ length: CROWD }, (_, i) => {
      const chance = new Chance(SEED + 1 + i);
      const topics = chance.shuffled(TOPICS).slice(0, TOPICS_EACH);
      const who = i < RAW
        ? new RawParticipant(`raw ${i}`, topics, chance, options)
        : new ClientParticipant(`client ${i}`, topics, i % 2 === 0, chance, options);
      return { who, topics, chance };
    });
    const everyone = crowd.map(({ who }) => who);
    const verdictNow = () => judge(everyone.flatMap(({ views }) => views), ledger.messages);
    try {
      await until("all are there", () => everyone.every(({ isThere }) => isThere), LINKING);
      for (const { who, topics, chance } of crowd) lives.push(awaitedLater(live(who, topics, chance, () => over)));
      const turmoil = beginTurmoil(cluster.places, SEED);
      await sleep(SECONDS * 1_000);
      await turmoil.end();
      over = true;
      await Promise.all(lives);
      await cluster.linked();
      await until("all are there again", () => everyone.every(({ isThere }) => isThere), LINKING);
      await lastWords(cluster, ledger);
      // What is missing may be told late, but what was told cannot become right: there is nothing to wait for.
      const isSettled = () => verdictNow().silent.length === 0;
      await until("nothing is missing of which nobody told", isSettled, SETTLED).catch(() => {});
      const verdict = verdictNow();
      await print(reportOf(everyone, ledger, turmoil, verdict));
      const faults = Object.entries(faultsOf(verdict)).flatMap(([kind, all]) =>
        all.slice(0, SHOWN).map((one) => `${kind}: ${one}`)
      );
      deepEqual(faults, [], `seed ${SEED}`);
      await presenceHeals(cluster, everyone);
      ok(turmoil.blows.size > 1 && countOf(everyone, "recovered") > 0, "nothing happened");
    } finally {
      over = true;
      for (const who of everyone) who.leave();
      await Promise.all(lives);
      for (const who of everyone) who.leave();
      await until("all sockets have ended", () => ledger.open === 0, LINKING);
    }
  },
);

/** Waits until each gateway tells the same members of each topic: those who are there. */
async function presenceHeals({ places, key }: LiveCluster, everyone: readonly Participant[]): Promise<void> {
  const members = everyone.flatMap(({ member }) => member ?? []);
  for (const { name, gateway } of places) {
    for (const topic of TOPICS) {
      const expected = members.flatMap((member) => member.topic === topic ? [member.id] : []).sort();
      await until(`${name} tells who is in ${topic}`, async () => {
        const answer = await gateway.call("GET", `/v1/pubsub/presence?topic=${encodeURIComponent(topic)}`, key);
        const told = answer.expect(200).list("members").map(({ member_id }) => member_id).sort();
        deepEqual(told, expected);
        return true;
      }, LINKING);
    }
  }
}

const countOf = (everyone: readonly Participant[], what: string) =>
  everyone.reduce((sum, { tally }) => sum + (tally.get(what) ?? 0), 0);

/** What happened, in numbers. */
function reportOf(everyone: readonly Participant[], ledger: Ledger, { blows }: Turmoil, verdict: Verdict): string {
  const { messages, sockets } = ledger, kinds = [...new Set(everyone.flatMap(({ tally }) => [...tally.keys()]))].sort();
  const views = everyone.flatMap(({ views }) => views);
  const seen = views.reduce((sum, { told }) => sum + told.filter(({ kind }) => kind === "message").length, 0);
  const lines = [
    `seed ${SEED}, ${SECONDS} s; gateways ${[...blows].map(([name, times]) => `${name}: ${times}`).join(", ")}`,
    `${messages.length} messages, ${
      messages.filter(({ acknowledged }) => acknowledged !== undefined).length
    } of them ` +
    `acknowledged, ${
      messages.filter(({ lives }) => lives.size > 1).length
    } sent to more than one gateway; ${seen} deliveries`,
    `${everyone.length} clients, ${sockets - everyone.length} reconnections; ${
      kinds.map((kind) => `${kind}: ${countOf(everyone, kind)}`).join(", ")
    }`,
    `${verdict.due} messages that views had to have: ${verdict.told} not there, as was told; ` +
    Object.entries(faultsOf(verdict)).map(([kind, { length }]) => `${kind}: ${length}`).join(", ") +
    `; twice, of those sent to more than one gateway: ${verdict.twice}`,
  ];
  return `${lines.join("\n")}\n`;
}

const print = (text: string) => Deno.stdout.write(new TextEncoder().encode(text));

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
