import type { Gap, Message } from "../../src/contracts/pubsub.ts";
import type { Entry } from "./cluster/cluster.ts";
import type { Place } from "./places.ts";

/** A message of a topic, with what its gateways know of it. */
export class TopicMessage implements Message {
  readonly kind = "message";
  readonly data: Uint8Array<ArrayBuffer>;
  readonly json: boolean;
  readonly at: number;
  /** Names it where it may come twice. */
  readonly id: string | undefined;

  constructor(
    { data, json, at, id }: Entry,
    readonly epoch: number,
    readonly offset: number,
    /** Where its holder stands. */
    readonly place: Place,
  ) {
    this.data = data;
    this.json = json;
    this.at = at;
    this.id = id;
  }

  get position(): string | undefined {
    return this.place.text;
  }
}

/** Something is missing. */
export class TopicGap implements Gap {
  readonly kind = "gap";

  constructor(readonly reason: Gap["reason"], readonly place: Place) {}

  get position(): string | undefined {
    return this.place.text;
  }
}
