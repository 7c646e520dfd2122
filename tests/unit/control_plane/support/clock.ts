/** A clock that stands still until it is moved. Unix milliseconds. */
export class TestClock {
  constructor(public time = 1_800_000_000_000) {}

  readonly now = (): number => this.time;

  advance(milliseconds: number): void {
    this.time += milliseconds;
  }
}

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
