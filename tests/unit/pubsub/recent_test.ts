import { equal } from "node:assert/strict";
import { RecentNames } from "../../../services/pubsub/recent.ts";
import { Chance } from "../pubsub_cluster/support/random.ts";

Deno.test("what is known of a name is known until its time is over or too many came, however they come", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const chance = new Chance(seed);
    const most = chance.pick([1, 70, 300, 1_000]), life = 1_000;
    let forgot = 0, early = 0, now = 0;
    const names = new RecentNames(most, life, () => void forgot++);
    const numbers = names.numbers(), texts = names.column<string | undefined>(undefined);
    // The same with a map, in which those that are remembered stand in the order in which they came.
    const model = new Map<string, { readonly value: number; readonly until: number }>();
    for (let i = 0; i < 5_000; i++) {
      now += chance.pick([0, 0, 0, 1, 2, 10, chance.happens(0.01) ? 1_500 : 3]);
      const name = `name ${i}`;
      for (const [old, { until }] of model) {
        if (until > now) break;
        model.delete(old);
      }
      if (model.size >= most) {
        const [oldest] = model.keys();
        model.delete(oldest!);
        early++;
      }
      const slot = names.add(name, now);
      equal(texts.at(slot), undefined, "nothing of another is left");
      numbers.put(slot, i);
      texts.put(slot, name);
      model.set(name, { value: i, until: now + life });
      for (const back of [0, 1, 50, 64, 299, 300, 999, 1_000]) {
        const asked = `name ${i - back}`, known = model.get(asked), found = names.find(asked, now);
        equal(found === undefined, known === undefined, `${asked} of seed ${seed}`);
        if (found === undefined) continue;
        equal(numbers.at(found), known!.value);
        equal(texts.at(found), asked);
      }
      equal(names.count, model.size);
      equal(forgot, early);
    }
    equal(names.until, now + life);
    equal(names.find("name 4999", now + life - 1) !== undefined, true);
    equal(names.find("name 4999", now + life), undefined);
  }
});
