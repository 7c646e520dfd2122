import type { Call } from "./call.ts";
import { STOP } from "./endings.ts";

/** What a module imports: numbers in, a number out. */
export type ImportedCode = (...values: never[]) => number | bigint | void;

/**
 * Where one call at a time runs. All modules import the same functions, made once: they work for whichever call is on the stage.
 */
export class Stage {
  #call: Call | undefined;

  /** The call that runs. @throws STOP where there is none, and for one that is over but goes on */
  get call(): Call {
    const call = this.#call;
    if (!call || call.over) throw STOP;
    return call;
  }

  /** Runs something for a call. What it throws has become the call's ending. */
  run(call: Call, play: () => void): void {
    this.#call = call;
    try {
      play();
    } catch (error) {
      call.endFor(error);
    } finally {
      this.#call = undefined;
    }
  }

  /**
   * A function to import. What is thrown in it ends the call at once: the module cannot catch it, whether it is an ending, a trap of
   * the module's own allocator, or the stack that ran over somewhere in JavaScript.
   */
  imported<Values extends readonly (number | bigint)[], Result extends number | bigint | void>(
    code: (call: Call, ...values: Values) => Result,
  ): (...values: Values) => Result {
    return (...values) => {
      const call = this.call;
      try {
        return code(call, ...values);
      } catch (error) {
        call.endFor(error);
        throw STOP;
      }
    };
  }
}
