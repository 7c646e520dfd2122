import { OramaError } from "../errors.ts";
import { Link } from "./link.ts";
import { type CredentialSource, fullJitter, type settled } from "./options.ts";
import type { RealtimePlatform, SocketConstructor } from "./platform.ts";
import type { RealtimeEvents, RealtimeSession, RealtimeState, RealtimeStateChange } from "./realtime.ts";
import { errorIn, type LinkEnd, type Told } from "./wire.ts";

/** Whom a line tells. */
export interface LineOwner {
  /** There is a link that the gateway took. */
  attached(link: Link): void;
  /** It is gone. */
  detached(): void;
  told(told: Told): void;
  changed(change: RealtimeStateChange): void;
  expiring(event: RealtimeEvents["expiring"]): void;
}

/** How a line is held. */
export interface LineOptions extends ReturnType<typeof settled> {
  readonly url: string;
  readonly webSocket: SocketConstructor;
}

/** Milliseconds after which a connection counts as one that holds: before, it may be one of many that end at once. */
const HOLDS = 10_000;
/** Refusals in a row after which no other credential is asked for. */
const REFUSALS = 3;
/** Milliseconds between two tries to renew a credential. */
const RENEW_AGAIN = 3_000;

/** One link after the other: when, and as whom. */
export class Line {
  readonly #options: LineOptions;
  readonly #platform: RealtimePlatform;
  readonly #owner: LineOwner;
  readonly #leavePage: () => void;
  #source: CredentialSource;
  #state: RealtimeState = "waiting";
  #session: RealtimeSession | undefined;
  #link: Link | undefined;
  /** What was begun before the last change of it does not count any more. */
  #turn = 0;
  #failures = 0;
  #refusals = 0;
  #refused: { readonly credential: string | undefined; readonly error: OramaError } | undefined;
  #stopTimer = () => {};
  #stopRenewal = () => {};

  constructor(source: CredentialSource, options: LineOptions, platform: RealtimePlatform, owner: LineOwner) {
    this.#source = source;
    this.#options = options;
    this.#platform = platform;
    this.#owner = owner;
    this.#leavePage = platform.watchPage({ woken: () => this.#woken(), left: () => this.#left() });
  }

  get state(): RealtimeState {
    return this.#state;
  }

  get session(): RealtimeSession | undefined {
    return this.#session;
  }

  /** Tries now, unless it is connected, or just being so. */
  connect(): void {
    if (this.#state === "waiting" || this.#state === "stopped") this.#begin();
  }

  /** Goes on as somebody else. @throws OramaError where the gateway refuses it over the link that is there */
  async authenticate(source: CredentialSource): Promise<void> {
    this.#source = source;
    this.#refused = undefined;
    this.#refusals = 0;
    const link = this.#link;
    if (this.#state === "closed") return;
    if (this.#state !== "connected" || link === undefined) return this.#begin();
    const credential = await this.#credential();
    await this.#refresh(link, credential).catch((error) => {
      // The next link is there with it.
      if (link === this.#link) throw error;
    });
  }

  /** Ends it for good. */
  close(): void {
    if (this.#state === "closed") return;
    this.#leavePage();
    // Whoever is told of the first may begin again.
    if (!this.#drop()) this.#drop();
    if (this.state !== "closed") this.#become("closed");
  }

  #begin(): void {
    if (!this.#drop()) return;
    const turn = this.#turn;
    const late = new OramaError("there was no connection in time", { code: "TIMEOUT" });
    this.#stopTimer = this.#platform.clock.after(this.#options.connectTimeout, () => this.#lost(again(late)));
    this.#become("connecting");
    if (turn === this.#turn) void this.#open(turn);
  }

  async #open(turn: number): Promise<void> {
    let credential: string | undefined;
    try {
      credential = await this.#credential();
    } catch (cause) {
      const error = new OramaError("no credential could be had", { code: "UNAUTHENTICATED", cause });
      return turn === this.#turn ? this.#lost(again(error)) : undefined;
    }
    if (turn !== this.#turn) return;
    if (this.#refused !== undefined && this.#refused.credential === credential) return this.#stop(this.#refused.error);
    const { url, webSocket, pingTimeout } = this.#options;
    const options = { url, webSocket, pingTimeout, credential, clock: this.#platform.clock };
    try {
      const link: Link = new Link(options, {
        granted: (session) => this.#granted(link, session),
        told: (told) => this.#told(link, told),
        ended: (end) => this.#lost(end),
      });
      this.#link = link;
    } catch (cause) {
      this.#lost(again(new OramaError("no socket can be made to this address", { code: "NETWORK_ERROR", cause })));
    }
  }

  async #credential(): Promise<string | undefined> {
    return typeof this.#source === "string" ? this.#source : await this.#source();
  }

  #granted(link: Link, { client, namespace, expiresAt }: RealtimeSession): void {
    this.#stopTimer();
    this.#stopTimer = this.#platform.clock.after(HOLDS, () => {
      this.#failures = 0;
      this.#refusals = 0;
    });
    this.#refused = undefined;
    this.#session = { client, namespace, expiresAt };
    this.#state = "connected";
    this.#owner.attached(link);
    if (link === this.#link) this.#become("connected");
  }

  #told(link: Link, told: Told): void {
    if (told.type !== "expiring") return this.#owner.told(told);
    this.#owner.expiring({ expiresAt: typeof told.expires_at === "number" ? told.expires_at : undefined });
    if (typeof this.#source !== "string") void this.#renew(link);
  }

  /** Until it has succeeded, or the link has ended: then the next one asks for a credential of its own. */
  async #renew(link: Link): Promise<void> {
    if (link !== this.#link) return;
    try {
      const credential = await this.#credential();
      if (link !== this.#link) return;
      if (credential !== link.credential) return await this.#refresh(link, credential);
    } catch {
      // It is tried again, and when it is too late, the gateway says so.
    }
    if (link === this.#link) this.#stopRenewal = this.#platform.clock.after(RENEW_AGAIN, () => void this.#renew(link));
  }

  #refresh(link: Link, credential: string | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = () => reject(new OramaError("no answer came in time", { code: "TIMEOUT" }));
      const stop = this.#platform.clock.after(this.#options.pingTimeout, late);
      this.#stopRenewal = () => {
        stop();
        late();
      };
      link.ask(JSON.stringify({ type: "refresh", token: credential }), (told) => {
        stop();
        if (told.type === "error") return reject(errorIn(told));
        link.credential = credential;
        const expiresAt = typeof told.expires_at === "number" ? told.expires_at : undefined;
        if (this.#session !== undefined) this.#session = { ...this.#session, expiresAt };
        resolve();
      }, { isUrgent: true });
    });
  }

  #lost({ error, verdict }: LinkEnd): void {
    const credential = this.#link?.credential;
    if (!this.#drop()) return;
    if (verdict === "token") {
      this.#refused = { credential, error };
      this.#refusals++;
    }
    const isVain = verdict === "token" && (this.#refusals >= REFUSALS || this.#source === credential);
    const { clock } = this.#platform;
    const pause = fullJitter(this.#options.retry, ++this.#failures, error.retryAfter, clock.random());
    if (verdict === "stop" || isVain || pause === undefined) return this.#stop(error);
    this.#stopTimer = clock.after(pause, () => this.#begin());
    this.#become("waiting", error, pause);
  }

  #stop(error: OramaError): void {
    if (!this.#drop()) return;
    this.#failures = 0;
    this.#refusals = 0;
    this.#become("stopped", error);
  }

  #woken(): void {
    if (this.#state === "waiting") this.#begin();
    else this.#link?.probe();
  }

  /** A page that keeps a socket is not kept itself, and whoever it shows as present has left. */
  #left(): void {
    if (this.#state === "stopped" || this.#state === "closed") return;
    if (this.#drop()) this.#become("waiting");
  }

  /** Ends whatever goes on. @returns whether nobody who was told of it has begun something else */
  #drop(): boolean {
    const turn = ++this.#turn;
    this.#stopTimer();
    const wasConnected = this.#state === "connected";
    this.#link?.close();
    this.#link = undefined;
    this.#session = undefined;
    this.#stopRenewal();
    if (wasConnected) {
      this.#state = "waiting";
      this.#owner.detached();
    }
    return turn === this.#turn;
  }

  #become(state: RealtimeState, error?: OramaError, retryIn?: number): void {
    this.#state = state;
    this.#owner.changed({ state, error, retryIn });
  }
}

const again = (error: OramaError): LinkEnd => ({ error, verdict: "again" });
