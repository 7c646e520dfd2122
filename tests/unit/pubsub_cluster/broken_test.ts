import { ok } from "node:assert/strict";
import type { Cluster, LocalTopics, Missed, Range, View } from "../../../services/pubsub/cluster/cluster.ts";
import { MeshCluster, type MeshClusterOptions } from "../../../services/pubsub/cluster/mesh_cluster.ts";
import { Simulation } from "./support/simulation.ts";

/** Seeds in which a defect has to show. */
const SEEDS = 60;

async function isFound(make: (options: MeshClusterOptions) => MeshCluster, what: RegExp): Promise<boolean> {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { wrong } = await new Simulation(seed, { make }).run();
    if (wrong.some((sentence) => what.test(sentence))) return true;
  }
  return false;
}

/** The topics of a gateway, some of it otherwise. */
const withOther = (local: LocalTopics, other: Partial<LocalTopics>): LocalTopics => ({
  begin: (key, epoch, after) => local.begin(key, epoch, after),
  accept: (key, range) => local.accept(key, range),
  gap: (key, reason) => local.gap(key, reason),
  keys: () => local.keys(),
  heads: (key) => local.heads(key),
  get forgotten() {
    return local.forgotten;
  },
  first: (key, epoch) => local.first(key, epoch),
  range: (key, epoch, after, maxBytes) => local.range(key, epoch, after, maxBytes),
  present: (key, member, before, after) => local.present(key, member, before, after),
  keeps: (key) => local.keeps(key),
  ...other,
});

/** Believes that what it has of a gateway that it cannot ask is all that there is. */
class Trusting extends MeshCluster {
  readonly #local: LocalTopics;

  constructor(options: MeshClusterOptions) {
    super(options);
    this.#local = options.local;
  }

  override async missed(...[key, since, limits, signal]: Parameters<Cluster["missed"]>): Promise<Missed> {
    const found = await super.missed(key, since, limits, signal);
    if (found.complete || found.reason !== "unreachable") return found;
    const { open, known } = this.view;
    const copied = this.#local.heads(key);
    const heads: View["heads"] = new Map(Array.from(open, (epoch) => [epoch, copied.get(epoch) ?? 0]));
    const ranges: Range[] = [];
    for (const [epoch, head] of heads) {
      const after = since.heads.get(epoch) ?? 0;
      const range = after < head ? this.#local.range(key, epoch, after, Infinity) : undefined;
      if (after < head && range === undefined) return found;
      if (range !== undefined) ranges.push(range);
    }
    return { complete: true, ranges, view: { heads, known } };
  }
}

Deno.test("a recovery that trusts the own copy of a gateway that cannot be asked is found out", async () => {
  ok(await isFound((options) => new Trusting(options), /nothing was told|behind/));
});

Deno.test("a gateway that keeps gaps to itself is found out", async () => {
  const make = (options: MeshClusterOptions) =>
    new MeshCluster({ ...options, local: withOther(options.local, { gap: () => {} }) });
  ok(await isFound(make, /nothing was told/));
});

Deno.test("a gateway that loses what it takes is found out", async () => {
  const make = (options: MeshClusterOptions) => {
    let taken = 0;
    const accept: LocalTopics["accept"] = (key, range) => {
      if (++taken % 20 !== 0) options.local.accept(key, range);
    };
    return new MeshCluster({ ...options, local: withOther(options.local, { accept }) });
  };
  ok(await isFound(make, /nothing was told/));
});

Deno.test("a gateway that tells of a member twice is found out", async () => {
  const make = (options: MeshClusterOptions) => {
    const present: LocalTopics["present"] = (key, member, before, after) => {
      options.local.present(key, member, before, after);
      if (before === undefined && after !== undefined) options.local.present(key, member, before, after);
    };
    return new MeshCluster({ ...options, local: withOther(options.local, { present }) });
  };
  ok(await isFound(make, /a second join/));
});
