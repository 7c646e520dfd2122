import { dropRights, serve, watchParent } from "../../../src/hosts/guest.ts";
import { JudgeMirror } from "./judge_mirror.ts";
import type { JudgeAnswer, JudgeQuestion } from "./judge_protocol.ts";

/** Schemas that are kept; the one used least recently goes first. */
const MAX_MIRRORS = 64;

interface Kept {
  readonly state: number;
  readonly mirror: JudgeMirror;
}

/** The judge's process: it compiles hostile SQL, so that a crash, or a compilation without end, is its own end alone. */
export async function run(): Promise<void> {
  watchParent();
  dropRights();
  const judges = new JudgeMirrors();
  await serve({
    work(asked, answers) {
      for (const { id, body } of asked) {
        // What was answered is out of the way before anything that may take long.
        answers.flush();
        answers.answer(id, judges.answer(body as JudgeQuestion));
      }
    },
  });
}

/** The mirrors of all namespaces. */
export class JudgeMirrors {
  readonly #mirrors = new Map<string, Kept>();

  /** What a question comes to. */
  answer(question: JudgeQuestion): JudgeAnswer {
    if (question.ask === "ready") return { is: "ready" };
    const { mirror: name, state } = question;
    const known = this.#mirrors.get(name);
    this.#mirrors.delete(name);
    if (question.ask === "load") {
      known?.mirror.close();
      const mirror = new JudgeMirror(question.objects);
      this.#keep(name, { state, mirror });
      return { is: "loaded", complete: mirror.complete };
    }
    if (known === undefined) return { is: "not_loaded" };
    this.#keep(name, known);
    if (known.state !== state) return { is: "not_loaded" };
    return { is: "judged", judgements: known.mirror.judge(question.items, question.inOrder) };
  }

  #keep(name: string, kept: Kept): void {
    this.#mirrors.set(name, kept);
    if (this.#mirrors.size <= MAX_MIRRORS) return;
    const [oldest, { mirror }] = this.#mirrors.entries().next().value!;
    this.#mirrors.delete(oldest);
    mirror.close();
  }
}
