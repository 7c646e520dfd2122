import { Counter, Gauge, type Registry } from "prom-client";

/** What a metric shows; what is not known is left out. */
type Figure = number | undefined;

/** Makes metrics that are read where they are kept, each time when they are scraped. */
export class Scraped {
  readonly #registers: [Registry];

  constructor(registry: Registry) {
    this.#registers = [registry];
  }

  /** Something that only rises while the gateway runs. */
  counter(name: string, help: string, of: () => Figure | Promise<Figure>): void {
    new Counter({
      name,
      help,
      registers: this.#registers,
      async collect() {
        const figure = await of();
        this.reset();
        if (figure === undefined) this.remove();
        else this.inc(figure);
      },
    });
  }

  /** The same, with a figure for each value of a label. */
  counters(name: string, help: string, label: string, of: () => Readonly<Record<string, number>>): void {
    new Counter({
      name,
      help,
      labelNames: [label],
      registers: this.#registers,
      collect() {
        this.reset();
        for (const [value, figure] of Object.entries(of())) this.inc({ [label]: value }, figure);
      },
    });
  }

  /** Something that rises and falls. */
  gauge(name: string, help: string, of: () => Figure | Promise<Figure>): void {
    new Gauge({
      name,
      help,
      registers: this.#registers,
      async collect() {
        const figure = await of();
        if (figure === undefined) this.remove();
        else this.set(figure);
      },
    });
  }

  /** The same, with a figure for each value of a label. */
  gauges(name: string, help: string, label: string, of: () => Readonly<Record<string, number>>): void {
    new Gauge({
      name,
      help,
      labelNames: [label],
      registers: this.#registers,
      collect() {
        this.reset();
        for (const [value, figure] of Object.entries(of())) this.set({ [label]: value }, figure);
      },
    });
  }
}
