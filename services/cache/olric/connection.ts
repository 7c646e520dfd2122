import process from "node:process";
import type { Redis } from "ioredis";
import type { GatewayError } from "../../../src/contracts/errors.ts";
import { auth, type Command } from "./commands.ts";
import type { Call, Deadlines, Reason, Waiting } from "./deadlines.ts";
import { judge, MemberFailure, NoAnswer, type Reply } from "./replies.ts";

/** What a command came to: a reply, or why the member failed. */
export type Outcome = Reply | MemberFailure | GatewayError;

/** Opens connections. */
export interface Dialler {
  /** Milliseconds that it may take to connect. */
  readonly timeout: number;
  readonly password: string | undefined;
  readonly deadlines: Deadlines;
  readonly Redis: typeof Redis;
}

/**
 * One connection to a member, which is never mended: whoever needs another one opens it. A member serves a connection one
 * command after the other, so what is sent together happens in that order; and so a command that is not answered in time
 * closes the connection, since nothing behind it would be answered either.
 */
export class Connection {
  #waiting = 0;
  #open = true;
  #gathering = false;

  private constructor(
    readonly address: string,
    private readonly redis: Redis,
    private readonly deadlines: Deadlines,
    private readonly onClose: (connection: Connection) => void,
  ) {
    redis.on("close", () => this.#closed());
  }

  /** @param onClose called once, when it is of no more use @throws NoAnswer */
  static async open(
    address: string,
    { timeout, password, deadlines, Redis }: Dialler,
    onClose: (connection: Connection) => void,
  ): Promise<Connection> {
    const redis = new Redis({
      ...hostAndPort(address),
      // Olric knows neither HELLO nor INFO nor CLIENT.
      protocol: 2,
      enableReadyCheck: false,
      disableClientInfo: true,
      lazyConnect: true,
      // It rounds those near 2^53 when it makes numbers of them.
      stringNumbers: true,
      connectTimeout: timeout,
      // Nothing is sent twice: the caller knows what may be repeated.
      retryStrategy: () => null,
      autoResendUnfulfilledCommands: false,
      enableOfflineQueue: false,
    });
    // Without a listener it would be written to the console. What matters of it reaches whoever waits.
    redis.on("error", () => {});
    try {
      await redis.connect();
      // Not by the client itself, which complains on the console when no password is needed.
      if (password !== undefined) await within(timeout, redis.callBuffer(...auth(password)));
    } catch (cause) {
      const text = messageOf(cause);
      if (!/without any password configured/.test(text)) {
        end(redis);
        throw new NoAnswer(address, "refused", new Error(text));
      }
    }
    return new Connection(address, redis, deadlines, onClose);
  }

  /** Calls that wait for an answer. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Whether it can be used. */
  get open(): boolean {
    return this.#open && this.redis.status === "ready";
  }

  /** Sends commands together. @returns what each of them came to @throws NoAnswer */
  send(commands: readonly Command[], call: Call): Promise<readonly Outcome[]> {
    // Looked at here, as late as can be: whoever waited for a connection, or stood still, must not send behind others by now.
    if (!this.open || this.deadlines.isOver(call)) return Promise.reject(new NoAnswer(this.address, "refused"));
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        call,
        giveUp: (reason: Reason) => {
          this.#waiting--;
          reject(new NoAnswer(this.address, reason));
          if (reason === "timeout") this.close();
        },
      };
      this.#waiting++;
      this.deadlines.add(waiting);
      const outcomes = new Array<Outcome>(commands.length);
      let missing = commands.length;
      let lost: Lost | undefined;
      const settle = (at: number, outcome: Outcome | Lost) => {
        if (outcome instanceof Lost) lost = outcome;
        else outcomes[at] = outcome;
        if (--missing > 0 || !this.deadlines.delete(waiting)) return;
        this.#waiting--;
        if (lost === undefined) resolve(outcomes);
        else reject(new NoAnswer(this.address, "lost", lost));
      };
      this.#gather();
      for (let at = 0; at < commands.length; at++) {
        const [name, ...rest] = commands[at]!;
        this.redis.callBuffer(name, rest as string[]).then(
          (reply) => settle(at, reply as Reply),
          (error) => settle(at, failureOf(error)),
        );
      }
    });
  }

  /** What is sent now and right behind goes out in one piece: that is two to three times as quick when many are sending. */
  #gather(): void {
    if (this.#gathering) return;
    const { stream } = this.redis;
    this.#gathering = true;
    stream.cork();
    process.nextTick(() => {
      this.#gathering = false;
      stream.uncork();
    });
  }

  /** Whoever waits for an answer gets none. */
  close(): void {
    if (!this.#open) return;
    this.#closed();
    end(this.redis);
  }

  #closed(): void {
    if (!this.#open) return;
    this.#open = false;
    this.onClose(this);
  }
}

/**
 * At once: by itself the client waits two seconds for a member that does not answer. What did not get there is taken back: it
 * would arrive when the network does, after writes that were confirmed since.
 */
function end(redis: Redis): void {
  redis.disconnect();
  redis.stream?.resetAndDestroy();
}

/** No reply: the connection ended. */
class Lost extends Error {}

function failureOf(error: unknown): Outcome | Lost {
  // The error of a reply has the command beside its text, values and all: no more than the text is kept.
  const text = messageOf(error);
  return error instanceof Error && error.name === "ReplyError" ? judge(text) : new Lost(text);
}

const messageOf = (error: unknown) => error instanceof Error ? error.message : String(error);

async function within<T>(timeout: number, promise: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error("the member does not answer")), timeout);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** `host:port`, the host of which may be an IPv6 address in brackets. */
function hostAndPort(address: string): { readonly host: string; readonly port: number } {
  const at = address.lastIndexOf(":");
  return { host: address.slice(0, at).replace(/^\[|\]$/g, ""), port: Number(address.slice(at + 1)) };
}
