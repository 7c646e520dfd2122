/** A question that all want answered anew, and one answer for those who asked before it was put. */
export class Rounds<Wish, Answer> {
  #next: { wish: Wish; readonly answer: PromiseWithResolvers<Answer> } | undefined;
  #running = false;

  /**
   * @param ask one at a time
   * @param join what to ask so that both are answered
   */
  constructor(
    private readonly ask: (wish: Wish) => Promise<Answer>,
    private readonly join: (one: Wish, other: Wish) => Wish,
  ) {}

  /** What is asked after this call: an answer that was under way before says nothing about now. @throws as the question does */
  put(wish: Wish): Promise<Answer> {
    if (this.#next !== undefined) {
      this.#next.wish = this.join(this.#next.wish, wish);
      return this.#next.answer.promise;
    }
    const answer = Promise.withResolvers<Answer>();
    // Whoever waits hears of it; where nobody waits, nobody need.
    answer.promise.catch(() => {});
    this.#next = { wish, answer };
    if (!this.#running) {
      this.#running = true;
      // Those who ask in the same turn are asked for together.
      queueMicrotask(() => this.#run());
    }
    return answer.promise;
  }

  async #run(): Promise<void> {
    while (this.#next !== undefined) {
      const { wish, answer } = this.#next;
      this.#next = undefined;
      try {
        answer.resolve(await this.ask(wish));
      } catch (error) {
        answer.reject(error);
      }
    }
    this.#running = false;
  }
}
