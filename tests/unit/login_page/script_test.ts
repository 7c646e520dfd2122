import { deepEqual, equal, match, ok } from "node:assert/strict";
import { until } from "../../engines/support/wait.ts";

/** As much of an element as the page's script touches. */
class FakeElement extends EventTarget {
  dataset: Record<string, string> = {};
  hidden = false;
  disabled = false;
  readOnly = false;
  type = "";
  textContent = "";
  value = "";
  valid = true;
  readonly children: FakeElement[] = [];

  append(child: FakeElement): void {
    this.children.push(child);
  }

  reportValidity(): boolean {
    return this.valid;
  }

  click(): void {
    if (!this.disabled) this.dispatchEvent(new Event("click"));
  }
}

interface Posted {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
}

interface Wallet {
  request(call: { method: string; params?: readonly string[] }): Promise<unknown>;
}

type Answers = Readonly<Record<string, { readonly status?: number; readonly body: unknown }>>;

const MESSAGE = "gateway.example wants you to sign in\nä";
const ANSWERS: Answers = {
  challenge: { body: { message: MESSAGE, nonce: "n" } },
  "api-key": { body: { api_key: "ak_1:shop", namespace: "shop", wallet: "ab", plan: "free" } },
  "login/code": { body: { code: "c-1" } },
};

let loads = 0;

/** The login page in a browser that has `ethereum` as its wallet and `announced` as one that names itself. */
class Page implements Disposable {
  readonly main = new FakeElement();
  readonly elements: Record<string, FakeElement> = Object.fromEntries(
    ["wallets", "none", "namespace", "status", "problem", "decline"].map((id) => [id, new FakeElement()]),
  );
  readonly posted: Posted[] = [];
  /** Milliseconds that the page wanted to wait. It waits hardly at all here. */
  readonly delays: number[] = [];
  leftFor: string | undefined;
  #replaced: [string, unknown][] = [];
  #announce: (() => void) | undefined;

  static async open(
    data: Readonly<Record<string, string>>,
    { ethereum, announced, answers = ANSWERS }: { ethereum?: unknown; announced?: Wallet; answers?: Answers },
  ): Promise<Page> {
    const page = new Page();
    Object.assign(page.main.dataset, {
      mode: "key",
      callback: "http://localhost:1/cb",
      state: "",
      challenge: "",
      chosen: "no",
      ...data,
    });
    page.elements["namespace"]!.value = "shop";
    page.elements["problem"]!.hidden = page.elements["none"]!.hidden = true;
    page.#replace("ethereum", ethereum);
    page.#replace("location", {
      href: "https://gateway.example/v1/auth/login?callback=x",
      replace: (url: URL) => page.leftFor = url.href,
    });
    const { setTimeout } = globalThis;
    page.#replace("setTimeout", (then: () => void, delay: number) => {
      page.delays.push(delay);
      return setTimeout(then, Math.min(delay, 10));
    });
    page.#replace("document", {
      querySelector: () => page.main,
      getElementById: (id: string) => page.elements[id],
      createElement: () => new FakeElement(),
    });
    page.#replace("fetch", (url: URL, { body }: RequestInit) => {
      const path = url.href.replace("https://gateway.example/v1/auth/", "");
      page.posted.push({ path, body: JSON.parse(String(body)) });
      const { status = 200, body: answer } = answers[path]!;
      return Promise.resolve(Response.json(answer, { status }));
    });
    if (announced) {
      page.#announce = () =>
        globalThis.dispatchEvent(
          new CustomEvent("eip6963:announceProvider", { detail: { info: { name: "Announced" }, provider: announced } }),
        );
      globalThis.addEventListener("eip6963:requestProvider", page.#announce);
    }
    const script = new URL("../../../routes/auth/login_page/page.js", import.meta.url);
    await import(`${script}?${++loads}`);
    const { wallets, none } = page.elements;
    await until("the page knows its wallets", () => wallets!.children.length > 0 || !none!.hidden);
    return page;
  }

  get button(): FakeElement {
    return this.elements["wallets"]!.children[0]!;
  }

  problem(): string | undefined {
    const { problem } = this.elements;
    return problem!.hidden ? undefined : problem!.textContent;
  }

  async left(): Promise<URL> {
    await until("the page was left", () => this.leftFor !== undefined);
    return new URL(this.leftFor!);
  }

  async failed(): Promise<string> {
    await until("the page shows a problem", () => this.problem() !== undefined);
    return this.problem()!;
  }

  #replace(name: string, value: unknown): void {
    this.#replaced.push([name, Reflect.get(globalThis, name)]);
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }

  [Symbol.dispose](): void {
    if (this.#announce) globalThis.removeEventListener("eip6963:requestProvider", this.#announce);
    for (const [name, value] of this.#replaced) {
      Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    }
  }
}

const signing = (calls: unknown[] = []): Wallet => ({
  request({ method, params }) {
    calls.push([method, ...params ?? []]);
    return Promise.resolve(method === "eth_requestAccounts" ? ["0xAb"] : "0xsigned");
  },
});
const refusing = (error: unknown): Wallet => ({ request: () => Promise.reject(error) });

/** The page's timers outlive a test that has seen enough. */
const test = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name, fn, sanitizeOps: false, sanitizeResources: false });

test("the wallet signs the message, and a program on the machine gets the key", async () => {
  const calls: unknown[] = [];
  using page = await Page.open({ callback: "http://localhost:1/cb?a=1" }, { ethereum: signing(calls) });
  page.button.click();
  const target = await page.left();
  const hex = "0x" + new TextEncoder().encode(MESSAGE).toHex();
  deepEqual(calls, [["eth_requestAccounts"], ["personal_sign", hex, "0xAb"]]);
  deepEqual(page.posted, [
    {
      path: "challenge",
      body: { wallet: "0xAb", namespace: "shop", purpose: "api_key_generation", chain_type: "ETH" },
    },
    { path: "api-key", body: { message: MESSAGE, signature: "0xsigned" } },
  ]);
  equal(target.href, "http://localhost:1/cb?a=1&api_key=ak_1%3Ashop&namespace=shop&wallet=ab&plan=free");
  ok(page.delays.includes(1500));
});

test("a callback's own api_key does not stand beside the new one", async () => {
  using page = await Page.open({ callback: "http://localhost:1/cb?api_key=other&wallet=x&wallet=y" }, {
    ethereum: signing(),
  });
  page.button.click();
  const { searchParams } = await page.left();
  deepEqual([searchParams.getAll("api_key"), searchParams.getAll("wallet")], [["ak_1:shop"], ["ab"]]);
});

test("an application gets a code and its state, and never the key", async () => {
  const data = { mode: "code", callback: "https://app.example/cb", challenge: "ch", state: "a&b=c" };
  using page = await Page.open(data, { ethereum: signing() });
  page.button.click();
  const target = await page.left();
  deepEqual(page.posted[1], {
    path: "login/code",
    body: {
      message: MESSAGE,
      signature: "0xsigned",
      callback: "https://app.example/cb",
      code_challenge: "ch",
      code_challenge_method: "S256",
    },
  });
  deepEqual([...target.searchParams], [["code", "c-1"], ["state", "a&b=c"]]);
});

test("wallets that announce themselves are offered by name, each once", async () => {
  const wallet = signing();
  using page = await Page.open({}, { ethereum: wallet, announced: wallet });
  equal(page.button.textContent, "Sign in with Announced");
  page.button.click();
  await page.left();
  equal(page.elements["wallets"]!.children.length, 1);
});

test("without a wallet the page says what to do", async () => {
  for (const ethereum of [undefined, {}, "wallet"]) {
    using page = await Page.open({}, { ethereum });
    equal(page.elements["none"]!.hidden, false);
    equal(page.elements["wallets"]!.children.length, 0);
  }
});

test("a refusal of the wallet is told, and another try is possible", async () => {
  const told = [
    [{ code: 4001, message: "User rejected" }, /declined in the wallet/],
    [{ code: -32002, message: "pending" }, /still waiting/],
    [new Error("locked"), /^locked$/],
    [undefined, /gave no reason/],
  ] as const;
  for (const [error, sentence] of told) {
    using page = await Page.open({}, { ethereum: refusing(error) });
    page.button.click();
    match(await page.failed(), sentence);
    deepEqual([page.button.disabled, page.leftFor, page.posted], [false, undefined, []]);
  }
});

test("a refusal of the gateway is told with the request's id", async () => {
  const answers = { ...ANSWERS, "api-key": { status: 403, body: { error: "not a member", request_id: "r-1" } } };
  using page = await Page.open({}, { ethereum: signing(), answers });
  page.button.click();
  equal(await page.failed(), "The gateway refused: not a member (request r-1)");
});

test("a namespace that cannot exist is found before the wallet is asked", async () => {
  const calls: unknown[] = [];
  using page = await Page.open({}, { ethereum: signing(calls) });
  page.elements["namespace"]!.valid = false;
  page.button.click();
  deepEqual([calls, page.button.disabled], [[], false]);
});

test("a namespace that the opener chose is not the user's to change", async () => {
  using page = await Page.open({ chosen: "yes" }, { ethereum: refusing(new Error("x")) });
  ok(page.elements["namespace"]!.readOnly);
  page.button.click();
  await page.failed();
  ok(page.elements["namespace"]!.readOnly);
});

test("who declines goes back with an error, and with the state", async () => {
  const data = { mode: "code", callback: "https://app.example/cb", challenge: "ch", state: "s" };
  using page = await Page.open(data, { ethereum: signing() });
  page.elements["decline"]!.click();
  equal((await page.left()).href, "https://app.example/cb?error=access_denied&state=s");
  deepEqual(page.posted, []);
});
