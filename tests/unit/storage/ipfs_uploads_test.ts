import { deepEqual, equal, rejects } from "node:assert/strict";
import { IpfsDriver } from "../../../services/storage/ipfs/driver.ts";
import { EngineError, fateOf } from "../../../services/storage/ipfs/failures.ts";
import { carOf, cidOf, CODES, inPieces, noise, rawBlock } from "../../support/blocks.ts";
import { until } from "../../engines/support/wait.ts";
import { filesOf, refuses, WAITER } from "../../support/test_content.ts";
import { type Behaviour, FakeEngine, kuboError, linesOf } from "./support/fake_engine.ts";

const CID = cidOf(CODES.raw, noise(1)).toString();

/** A driver on a Kubo that lives, and does this with what it is sent. */
async function onFake(behaviour: Behaviour, run: (driver: IpfsDriver, engine: FakeEngine) => Promise<void>) {
  await using engine = new FakeEngine((request, heard) =>
    heard.path === "/api/v0/version" ? Response.json({}) : behaviour(request, heard)
  );
  const driver = new IpfsDriver({ kubo: [engine.url], timeout: 500 });
  try {
    await run(driver, engine);
  } finally {
    await driver.close();
  }
}

const taking = (answer: () => Response): Behaviour => async (request) => {
  await request.arrayBuffer();
  return answer();
};

const SECRET = "/var/lib/ipfs 10.0.0.7:5001";

Deno.test("an upload is a success only when the node says so in full", async () => {
  const answers: Readonly<Record<string, () => Response>> = {
    "nothing": () => new Response(""),
    "another thing": () => new Response("<html>"),
    "no CID": () => linesOf({ Name: "f" }),
    "what is no CID": () => linesOf({ Name: "f", Hash: "../../x" }),
    "a line that was cut": () => new Response('{"Name":"f","Hash":"baf'),
    "an error behind the beginning": () =>
      linesOf({ Name: "f", Hash: CID }, { Message: `lost ${SECRET}`, Code: 0, Type: "error" }),
    "an error": () => kuboError(`datastore: ${SECRET}`),
    "that it is not allowed": () => new Response(`403 - Forbidden ${SECRET}`, { status: 403 }),
    "that it is somewhere else": () =>
      new Response(null, { status: 302, headers: { location: "http://127.0.0.1:1/" } }),
  };
  for (const [name, answer] of Object.entries(answers)) {
    await onFake(taking(answer), async (driver) => {
      const error = await driver.add(inPieces(noise(1_000)), WAITER).then(() => undefined, (error) => error);
      equal(error?.code, "UNAVAILABLE", name);
      equal(String(error.message).includes("10.0.0.7"), false, name);
    });
  }
});

Deno.test("an answer before the end of an upload is no success", async () => {
  await onFake(() => linesOf({ Name: "f", Hash: CID }), async (driver) => {
    let told = false;
    async function* endless() {
      try {
        for (;;) yield noise(64 * 2 ** 10);
      } finally {
        told = true;
      }
    }
    await refuses(driver.add(endless(), WAITER), "UNAVAILABLE");
    await until("the source is let go", () => told);
  });
});

Deno.test("a directory of which files are missing is no success", async () => {
  const lines = [{ Name: "a", Hash: CID }, { Name: "b", Hash: CID }, { Name: "", Hash: CID }];
  for (const missing of lines) {
    await onFake(taking(() => linesOf(...lines.filter((line) => line !== missing))), async (driver) => {
      await refuses(driver.addDirectory(filesOf([["a", "1"], ["b", "2"]]), WAITER), "UNAVAILABLE");
    });
  }
  await onFake(taking(() => linesOf(...lines)), async (driver) => {
    const { root, files } = await driver.addDirectory(filesOf([["a", "1"], ["b", "22"]]), WAITER);
    deepEqual([root, files.map(({ path, size }) => [path, size])], [{ cid: CID, size: 3 }, [["a", 1], ["b", 2]]]);
  });
});

Deno.test("a CAR of which blocks are missing is no success", async () => {
  const leaf = rawBlock("leaf"), car = await carOf([leaf.cid], [leaf]);
  for (const answer of [() => new Response(""), () => linesOf({ Stats: { BlockCount: 0, BlockBytesCount: 0 } })]) {
    await onFake(taking(answer), (driver) => refuses(driver.importCar(inPieces(car), WAITER), "UNAVAILABLE"));
  }
});

Deno.test("a full disk is said to be full", async () => {
  await onFake(taking(() => kuboError("write /blocks/x.data: no space left on device")), async (driver) => {
    await refuses(driver.add(inPieces(noise(10)), WAITER), "NO_CAPACITY");
  });
});

Deno.test("a node that takes nothing any more is given up; a source that is slow is not", async () => {
  await onFake(() => new Promise(() => {}), async (driver) => {
    async function* endless() {
      for (;;) yield noise(64 * 2 ** 10);
    }
    await refuses(driver.add(endless(), WAITER), "UNAVAILABLE");
  });
  await onFake(taking(() => linesOf({ Name: "f", Hash: CID })), async (driver) => {
    async function* slow() {
      yield noise(1);
      await new Promise((resolve) => setTimeout(resolve, 800));
      yield noise(1);
    }
    equal((await driver.add(slow(), WAITER)).cid, CID);
  });
});

Deno.test("names are sent so that they end neither their quotes nor their line", async () => {
  let body = "";
  const behaviour: Behaviour = async (request) => {
    body = await request.text();
    return linesOf({ Name: 'a"\r\nX: y', Hash: CID }, { Name: "", Hash: CID });
  };
  await onFake(behaviour, async (driver, { heard }) => {
    await driver.addDirectory(filesOf([['a"\r\nX: y', "content"]]), WAITER);
    equal(body.includes('filename="a%22%0D%0AX%3A%20y"'), true);
    const { args } = heard.at(-1)!;
    deepEqual([args.get("pin"), args.get("cid-version"), args.get("raw-leaves")], ["false", "1", "true"]);
  });
});

Deno.test("what Kubo says is understood", () => {
  const known = {
    "block was not found locally (offline): ipld: could not find bafkreigh": "absent",
    "pin: block was not found locally (offline): ipld: could not find bafkreigh": "absent",
    "context deadline exceeded": "late",
    "pin: context deadline exceeded": "late",
    "block in storage has different hash than requested": "damaged",
    "path 'bafkreigh' is not pinned": "unpinned",
    "not pinned or pinned indirectly": "unpinned",
    'invalid path "bafy": path does not have enough components': "refused",
    "import failed: unexpected EOF": "refused",
    "write x: no space left on device": "full",
    "something that nobody has seen": "failed",
  };
  for (const [text, fate] of Object.entries(known)) equal(fateOf(new EngineError(500, text)), fate, text);
  equal(fateOf(new Error("block was not found locally")), "failed");
});

Deno.test("all nodes are asked whether one of them has a block; one that says nothing may have it", async () => {
  const absent = () => kuboError("block was not found locally (offline): ipld: could not find x");
  const present = () => Response.json({ Key: CID, Size: 1 });
  const failing = () => kuboError(SECRET);
  const silent = () => new Promise<Response>(() => {});
  const unknown = "UNAVAILABLE";
  const cases: readonly (readonly [readonly (() => Response | Promise<Response>)[], boolean | typeof unknown])[] = [
    [[absent, absent, absent], false],
    [[absent, absent, present], true],
    [[silent, present, failing], true],
    [[absent, silent, absent], unknown],
    [[failing, absent, absent], unknown],
  ];
  for (const [answers, expected] of cases) {
    await using stack = new AsyncDisposableStack();
    const engines = answers.map((answer) => stack.use(new FakeEngine(answer)));
    const driver = new IpfsDriver({ kubo: engines.map(({ url }) => url), timeout: 200 });
    if (expected === unknown) await refuses(driver.has(CID, WAITER), unknown);
    else equal(await driver.has(CID, WAITER), expected);
    for (const { heard: [one] } of engines) {
      deepEqual([one!.path, one!.args.get("arg"), one!.args.get("offline")], ["/api/v0/block/stat", CID, "true"]);
    }
    await driver.close();
  }
});

Deno.test("forged CIDs and paths reach no engine", async () => {
  await onFake(() => kuboError("block was not found locally"), async (driver, { heard }) => {
    for (const cid of [`${CID}&offline=false`, `${CID}/../x`, `${CID}?x=1`, "/ipns/example.org", "..", "%2e%2e"]) {
      await refuses(driver.look(cid, [], "local", WAITER), "INVALID_REQUEST");
      await refuses(driver.block(cid, WAITER), "INVALID_REQUEST");
      await refuses(driver.has(cid, WAITER), "INVALID_REQUEST");
      await refuses(driver.pin(cid, { name: "", replication: { min: 1, max: 1 } }, WAITER), "INVALID_REQUEST");
    }
    equal(heard.length, 0);
    const folder = cidOf(CODES.dagPb, noise(5)).toString();
    await rejects(driver.look(folder, ["..", "..", `x?arg=${CID}`], "local", WAITER));
    deepEqual(heard.map(({ args }) => args.get("arg")), [folder]);
  });
});
