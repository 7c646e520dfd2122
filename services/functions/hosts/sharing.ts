import { CallRefused } from "./contract.ts";
import type { PendingCall } from "./pending_call.ts";
import type { Seat } from "./seat.ts";
import { Tenant } from "./tenant.ts";

/** What {@link Sharing} needs to be told, and what it does. */
export interface SharingOptions {
  /** Hosts at once. */
  readonly max: number;
  /** Milliseconds that a call waits. */
  readonly patience: number;
  /** Milliseconds for which a call of a namespace must wait for its own sake. */
  readonly holdUp: (namespace: string, call: PendingCall) => number;
  /** Gives a namespace one more host. @throws what keeps a process from being started */
  readonly open: (tenant: Tenant) => Seat;
  /** Runs a call, and says {@link Sharing.leave} at its end. */
  readonly serve: (seat: Seat, call: PendingCall) => void;
  /** Ends a host for another namespace's. */
  readonly evict: (seat: Seat) => void;
}

/** Milliseconds that the first of a namespace's calls waits for a host it has before it is given a further one. */
const PATIENT = 10;
/**
 * Milliseconds that a namespace has its only host, while it has calls, before another one gets the place: the start of a process must be
 * a small part of what it does.
 */
const SLICE = 250;
/** Milliseconds before a process is tried to be started again; doubled each time. */
const PAUSE = 50, LONGEST_PAUSE = 2_000;
/** Starts that fail in a row before those who wait for one are refused. */
const MAX_FAILURES = 4;
/**
 * Who has which host. Namespaces share the places evenly: a place that becomes free is for the one that waits and has the fewest, and
 * of two with as many for the one that was given one longer ago. So a thousand calls of one namespace delay no other's first. Within a
 * namespace it is first come first served, but that what must wait for its own sake lets others go past.
 */
export class Sharing {
  readonly #options: SharingOptions;
  readonly #tenants = new Map<string, Tenant>();
  readonly #seats = new Set<Seat>();
  /** Those that end so that another namespace gets the place. */
  readonly #leaving = new Set<Seat>();
  #waiting = 0;
  #bytes = 0;
  #given = 0;
  #failures = 0;
  #pausedUntil = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #due = Infinity;
  #closed = false;

  constructor(options: SharingOptions) {
    this.#options = options;
  }

  /** Gives a call its place, now or later. */
  enter(call: PendingCall): void {
    const { namespace } = call.work;
    let tenant = this.#tenants.get(namespace);
    if (!tenant) this.#tenants.set(namespace, tenant = new Tenant(namespace));
    if (this.#waiting === 0 && tenant.idle.length > 0 && this.#mayGo(tenant, call)) {
      return this.#serve(tenant.takeIdle(call.work.moduleKey)!, call);
    }
    this.#join(tenant, call);
    this.#share();
    const excess = tenant.excess(call, this.#bytes);
    if (excess !== undefined) this.#refuse(tenant, call, new CallRefused("busy", tenant.retryAfter, excess));
  }

  /** A call is over. @param took milliseconds @param again it goes to the front of its line */
  leave(seat: Seat, call: PendingCall, took: number, again: boolean): void {
    const { tenant } = seat;
    tenant.finish(call, took);
    if (again) this.#join(tenant, call, again);
    if (seat.restore() && !this.#closed && this.#seats.has(seat)) tenant.idle.push(seat);
    this.#tidy(tenant);
    if (this.#waiting > 0) this.#share();
  }

  /** The host of a seat is gone. */
  lost(seat: Seat): void {
    this.#seats.delete(seat);
    this.#leaving.delete(seat);
    seat.tenant.seats.delete(seat);
    seat.tenant.lose(seat);
    this.#tidy(seat.tenant);
    if (this.#waiting > 0) this.#share();
  }

  /** Takes the hosts that nobody used since then, in milliseconds of the clock, out of use. */
  idleSince(before: number): Seat[] {
    const unused = [...this.#seats].filter((seat) => seat.tenant.idle.includes(seat) && seat.idleSince < before);
    for (const seat of unused) seat.tenant.lose(seat);
    return unused;
  }

  /** Forgets a namespace: its waiting calls are refused. @returns its hosts, for whoever ends them */
  clear(namespace: string, refusal: CallRefused): Seat[] {
    const tenant = this.#tenants.get(namespace);
    if (!tenant) return [];
    this.#tenants.delete(namespace);
    this.#refuseAll(tenant, refusal);
    tenant.idle.length = 0;
    return [...tenant.seats];
  }

  /** Refuses all that wait, and gives no place any more. */
  close(refusal: CallRefused): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const tenant of this.#tenants.values()) {
      this.#refuseAll(tenant, refusal);
      tenant.idle.length = 0;
    }
  }

  figures(): { readonly running: number; readonly waiting: number; readonly busy: number; readonly idle: number } {
    let running = 0, idle = 0;
    for (const tenant of this.#tenants.values()) {
      running += tenant.running;
      idle += tenant.idle.length;
    }
    return { running, waiting: this.#waiting, busy: this.#seats.size - idle, idle };
  }

  #serve(seat: Seat, call: PendingCall): void {
    call.arrive();
    seat.call = call;
    seat.tenant.begin(call);
    this.#options.serve(seat, call);
  }

  #join(tenant: Tenant, call: PendingCall, again = false): void {
    if (call.signal.aborted) return call.reject(call.signal.reason);
    if (again) tenant.line.rejoin(call);
    else tenant.line.join(call);
    this.#count(call, 1);
    const busy = () => new CallRefused("busy", tenant.retryAfter, "no place became free in time");
    call.wait(
      this.#options.patience,
      () => this.#refuse(tenant, call, busy()),
      () => this.#refuse(tenant, call, call.signal.reason),
    );
  }

  #refuse(tenant: Tenant, call: PendingCall, reason: unknown): void {
    if (!tenant.line.leave(call)) return;
    this.#count(call, -1);
    call.reject(reason);
    this.#tidy(tenant);
  }

  #refuseAll(tenant: Tenant, refusal: CallRefused): void {
    for (const call of tenant.line.clear()) {
      this.#count(call, -1);
      call.reject(refusal);
    }
  }

  #count({ bytes }: PendingCall, more: 1 | -1): void {
    this.#waiting += more;
    this.#bytes += more * bytes;
  }

  #tidy(tenant: Tenant): void {
    if (tenant.isEmpty && this.#tenants.get(tenant.namespace) === tenant) this.#tenants.delete(tenant.namespace);
  }

  /** Whether a call may run as far as its namespace, its function and its module are concerned. */
  #mayGo(tenant: Tenant, call: PendingCall): boolean {
    if (!tenant.hasRoom(call)) return false;
    const wait = this.#options.holdUp(tenant.namespace, call);
    if (wait > 0) this.#shareIn(wait);
    return wait <= 0;
  }

  #next(tenant: Tenant): PendingCall | undefined {
    return tenant.line.next((call) => this.#mayGo(tenant, call));
  }

  /** Gives places to those who wait, as far as there are any, and makes room for the rest. */
  #share(): void {
    if (this.#closed) return;
    const waiting = [...this.#tenants.values()].filter(({ line }) => line.size > 0);
    const needy = this.#needy(waiting);
    for (const tenant of waiting) this.#useIdle(tenant, needy);
    for (;;) {
      const next = this.#needy(waiting).find((tenant) => this.#seats.size < this.#placesFor(this.#next(tenant)));
      if (!next || !this.#give(next)) break;
    }
    let wanted = this.#needy(waiting).length - this.#leaving.size;
    if (wanted <= 0 || this.#seats.size < this.#options.max) return;
    const idle = [...this.#seats].filter((seat) => seat.tenant.idle.includes(seat));
    for (const seat of idle.sort((a, b) => a.idleSince - b.idleSince)) if (wanted-- > 0) this.#evict(seat);
  }

  #placesFor(call: PendingCall | undefined): number {
    return this.#options.max + (call?.work.depth ?? 0);
  }

  /** Those whose first call waits for a host, whoever is to have one first at the front. */
  #needy(waiting: readonly Tenant[]): Tenant[] {
    const now = performance.now();
    return waiting.filter((tenant) => {
      if (tenant.idle.length > 0) return false;
      const call = this.#next(tenant);
      if (!call) return false;
      const early = tenant.seats.size === 0 ? 0 : call.arrived + PATIENT - now;
      if (early > 0) this.#shareIn(early);
      return early <= 0;
    }).sort((a, b) => a.seats.size - b.seats.size || a.served - b.served);
  }

  /** Runs a namespace's calls on the hosts it has, unless one must go. */
  #useIdle(tenant: Tenant, needy: readonly Tenant[]): void {
    while (tenant.idle.length > 0) {
      const call = this.#next(tenant);
      if (!call) return;
      const seat = tenant.takeIdle(call.work.moduleKey)!;
      if (this.#owes(seat, needy)) this.#evict(seat);
      else this.#begin(tenant, seat, call);
    }
  }

  /** Whether the place is another's. */
  #owes({ tenant, since }: Seat, needy: readonly Tenant[]): boolean {
    const room = this.#options.max - this.#seats.size + this.#leaving.size;
    const other = needy[room];
    if (!other) return false;
    if (other.seats.size > 0) return tenant.seats.size > other.seats.size + 1;
    return tenant.seats.size > 1 || performance.now() - since >= SLICE;
  }

  #evict(seat: Seat): void {
    seat.tenant.lose(seat);
    this.#leaving.add(seat);
    this.#options.evict(seat);
  }

  #begin(tenant: Tenant, seat: Seat, call: PendingCall): void {
    tenant.line.leave(call);
    this.#count(call, -1);
    this.#serve(seat, call);
  }

  /** @returns whether a process could be started */
  #give(tenant: Tenant): boolean {
    const call = this.#next(tenant)!;
    if (performance.now() < this.#pausedUntil) return false;
    let seat;
    try {
      seat = this.#options.open(tenant);
    } catch {
      this.#pause();
      return false;
    }
    this.#failures = 0;
    tenant.served = ++this.#given;
    tenant.seats.add(seat);
    this.#seats.add(seat);
    call.coldStart = true;
    this.#begin(tenant, seat, call);
    return true;
  }

  /** There is no descriptor, or no process, to be had now. */
  #pause(): void {
    const pause = Math.min(LONGEST_PAUSE, PAUSE * 2 ** this.#failures);
    this.#pausedUntil = performance.now() + pause;
    this.#shareIn(pause);
    if (++this.#failures < MAX_FAILURES) return;
    for (const tenant of this.#tenants.values()) {
      if (tenant.seats.size > 0) continue;
      this.#refuseAll(
        tenant,
        new CallRefused("unavailable", Math.ceil(pause / 1_000), "no process can be started now"),
      );
      this.#tidy(tenant);
    }
  }

  /** Looks again after so many milliseconds at the latest. */
  #shareIn(wait: number): void {
    const due = performance.now() + wait;
    if (this.#closed || due >= this.#due) return;
    this.#due = due;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#due = Infinity;
      this.#share();
    }, Math.ceil(wait));
    Deno.unrefTimer(Number(this.#timer));
  }
}
