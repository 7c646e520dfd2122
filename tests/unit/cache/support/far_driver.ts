import type { CacheDriver, Waiter } from "../../../../services/cache/driver.ts";

/** One call of a driver that is far away. */
export class FarCall {
  readonly #answer = Promise.withResolvers<unknown>();
  #result: (() => unknown) | undefined;

  constructor(readonly name: string, readonly args: readonly unknown[], private readonly run: () => unknown) {
    this.#answer.promise.catch(() => {});
  }

  get promise(): Promise<unknown> {
    return this.#answer.promise;
  }

  /** The signal of whoever waits for it. */
  get signal(): AbortSignal {
    return (this.args.findLast((arg) => typeof arg === "object" && arg !== null && "signal" in arg) as Waiter).signal;
  }

  /** It is done, and nobody has heard of it. */
  happen(): void {
    try {
      const value = this.run();
      this.#result = () => value;
    } catch (error) {
      this.#result = () => {
        throw error;
      };
    }
  }

  /** The answer arrives; it is done now if it was not before. */
  arrive(): void {
    if (this.#result === undefined) this.happen();
    try {
      this.#answer.resolve(this.#result!());
    } catch (error) {
      this.#answer.reject(error);
    }
  }

  /** No answer arrives, whether it was done or not. */
  fail(error: Error): void {
    this.#answer.reject(error);
  }
}

const AT_ONCE = new Set<PropertyKey>(["held", "close", "constructor"]);

/** A driver whose calls happen, and whose answers arrive, when a test says so. */
export class FarDriver {
  /** All calls so far. */
  readonly calls: FarCall[] = [];
  readonly driver: CacheDriver;

  /** @param there what really answers */
  constructor(there: CacheDriver) {
    this.driver = new Proxy(there, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        if (AT_ONCE.has(name)) return value.bind(target);
        return (...args: unknown[]) => {
          const call = new FarCall(String(name), args, () => value.apply(target, args));
          this.calls.push(call);
          return call.promise;
        };
      },
    });
  }

  /** The call that came last. */
  get last(): FarCall {
    return this.calls.at(-1)!;
  }
}
