import { type Chance } from "../../unit/pubsub_cluster/support/random.ts";
import { count, type CrowdOptions, type GrowingView, type Participant, type Tally } from "./live_crowd.ts";
import type { View } from "./live_judge.ts";
import { RoamingSocket } from "./live_ledger.ts";

type Frame = Readonly<Record<string, unknown>>;

/** Milliseconds for a socket to open, and for an answer. */
const PATIENCE = 10_000;

interface Mine {
  readonly view: GrowingView;
  position: unknown;
  isLive: boolean;
}

/** One that speaks the protocol itself, and repeats nothing that it published. */
export class RawParticipant implements Participant {
  readonly tally: Tally = new Map();
  readonly member = undefined;
  readonly #mine: readonly Mine[];
  readonly #answers = new Map<number, (answer: Frame | undefined) => void>();
  #ids = 0;
  #socket: RoamingSocket | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isAway = false;

  constructor(
    name: string,
    topics: readonly string[],
    private readonly chance: Chance,
    private readonly options: CrowdOptions,
  ) {
    this.#mine = topics.map((topic) => ({
      view: { client: name, topic, told: [] },
      position: undefined,
      isLive: false,
    }));
    this.#connect();
  }

  get views(): readonly View[] {
    return this.#mine.map(({ view }) => view);
  }

  get isThere(): boolean {
    return this.#mine.every(({ isLive }) => isLive);
  }

  async publish(topic: string): Promise<void> {
    if (!this.isThere) return;
    const { ledger } = this.options, id = ledger.make(topic);
    const answer = await this.#ask({ type: "publish", topic, data: { m: id } });
    if (answer?.type === "ok") ledger.acknowledge(id);
    else count(this.tally, `not published: ${answer?.code ?? "no answer"}`);
  }

  breakOff(): void {
    this.#socket?.breakOff();
  }

  leave(): void {
    this.#isAway = true;
    this.#socket?.breakOff();
    clearTimeout(this.#timer);
  }

  comeBack(): void {
    if (!this.#isAway) return;
    this.#isAway = false;
    this.#connect();
  }

  #connect(): void {
    const { door, ledger, apiKey } = this.options;
    try {
      const at = door(this.chance);
      const socket = new RoamingSocket(at, `ws://gateway.invalid/v1/realtime`, ["orama.v1"], ledger);
      this.#socket = socket;
      socket.addEventListener("open", () => void this.#begin(socket, apiKey));
      socket.addEventListener("message", ({ data }) => {
        for (const line of String(data).split("\n")) this.#take(JSON.parse(line), socket);
      });
      socket.addEventListener("close", () => this.#ended(socket));
      this.#timer = setTimeout(() => socket.breakOff(), PATIENCE);
    } catch {
      // No gateway runs.
      this.#later();
    }
  }

  async #begin(socket: RoamingSocket, token: string): Promise<void> {
    clearTimeout(this.#timer);
    const connected = this.#ask({ type: "connect", token });
    for (const mine of this.#mine) void this.#subscribe(mine, socket);
    if ((await connected)?.type !== "ok") socket.breakOff();
  }

  async #subscribe(mine: Mine, socket: RoamingSocket): Promise<void> {
    const { position: since, view: { topic, told } } = mine;
    await this.#ask({ type: "subscribe", topic, since }, (answer) => {
      if (answer.type !== "ok") return socket.breakOff();
      const at = performance.now(), missed = answer.missed as readonly Frame[];
      if (since === undefined) {
        count(this.tally, "begun");
        told.push({ kind: "begin", at });
      } else {
        const recovered = answer.recovered === true;
        count(this.tally, recovered ? "recovered" : `not recovered: ${answer.unrecovered}`);
        told.push({ kind: "recovered", at, recovered, asked: socket.openedAt });
      }
      mine.isLive = true;
      for (const message of missed) told.push({ kind: "message", at, id: idOf(message) });
      mine.position = answer.position;
    });
  }

  #take(frame: Frame, socket: RoamingSocket): void {
    if (socket !== this.#socket) return;
    if (frame.type === "ok" || frame.type === "error") return this.#answers.get(Number(frame.id))?.(frame);
    const mine = this.#mine.find(({ view }) => view.topic === frame.topic), at = performance.now();
    if (mine === undefined) return;
    switch (frame.type) {
      case "message":
        mine.view.told.push({ kind: "message", at, id: idOf(frame) });
        mine.position = frame.position;
        break;
      case "gap":
        count(this.tally, `gap: ${frame.reason}`);
        mine.view.told.push({ kind: "gap", at });
        mine.position = frame.position;
        break;
      case "unsubscribed":
        socket.breakOff();
    }
  }

  #ended(socket: RoamingSocket): void {
    if (socket !== this.#socket) return;
    this.#socket = undefined;
    clearTimeout(this.#timer);
    for (const mine of this.#mine) mine.isLive = false;
    for (const answer of [...this.#answers.values()]) answer(undefined);
    if (!this.#isAway) this.#later();
  }

  #later(): void {
    this.#timer = setTimeout(() => this.#connect(), this.chance.between(50, 1_000));
  }

  /** @param taken called in the turn in which the answer comes, before what comes behind it */
  #ask(command: Frame, taken?: (answer: Frame) => void): Promise<Frame | undefined> {
    const id = ++this.#ids, socket = this.#socket!;
    return new Promise((resolve) => {
      const timer = setTimeout(() => socket.breakOff(), 2 * PATIENCE);
      this.#answers.set(id, (answer) => {
        clearTimeout(timer);
        this.#answers.delete(id);
        if (answer !== undefined) taken?.(answer);
        resolve(answer);
      });
      socket.send(JSON.stringify({ id, ...command }));
    });
  }
}

const idOf = ({ data }: Frame): number => (data as { readonly m: number }).m;
