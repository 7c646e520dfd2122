/** A request as an engine got it. */
export interface Heard {
  readonly method: string;
  /** What is asked, without the arguments. */
  readonly path: string;
  readonly args: URLSearchParams;
  readonly headers: Headers;
}

/** What an engine does with a request. The body may be read or not. */
export type Behaviour = (request: Request, heard: Heard) => Response | Promise<Response>;

/** Something that speaks HTTP and says what it is told to, where an engine is expected. */
export class FakeEngine implements AsyncDisposable {
  readonly heard: Heard[] = [];
  readonly #end = Promise.withResolvers<Response>();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(behaviour: Behaviour) {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {}, onError: () => new Response() },
      (request) => {
        const { pathname, searchParams } = new URL(request.url);
        const heard = { method: request.method, path: pathname, args: searchParams, headers: request.headers };
        this.heard.push(heard);
        // What is never answered would never let the server end.
        return Promise.race([behaviour(request, heard), this.#end.promise]);
      },
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.resolve(new Response());
    await this.#server.shutdown();
  }
}

/** As Kubo tells a failure. */
export const kuboError = (message: string, status = 500): Response =>
  Response.json({ Message: message, Code: 0, Type: "error" }, { status });

/** Values, one in each line. */
export const linesOf = (...values: readonly unknown[]): Response =>
  new Response(values.map((value) => `${JSON.stringify(value)}\n`).join(""));
