import { equal, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newOwner } from "../support/accounts.ts";
import { RawConnection } from "../support/raw_http.ts";
import { noise, StorageCaller } from "../support/storage.ts";
import { gatewaySuite } from "../support/suite.ts";

/** What connections to engines a gateway keeps is for them to say: here it has none. */
const suite = gatewaySuite({ driver: "sqlite", cacheDriver: "memory" });
const { test } = suite;

/** What a process has open, and what lies in a folder. */
const descriptors = () => [...Deno.readDirSync(`/proc/${suite.gateway.pid}/fd`)].length;
const filesIn = (folder: string): number =>
  [...Deno.readDirSync(folder)].reduce(
    (sum, { name, isDirectory }) => sum + (isDirectory ? filesIn(`${folder}/${name}`) : 1),
    0,
  );

test("hundreds who leave in the middle of reading or sending leave nothing open, and no file behind", async () => {
  const { gateway } = suite;
  await using owner = await newOwner(gateway);
  const { apiKey: key } = owner;
  const storage = new StorageCaller(gateway, { key });
  const files = [{ name: "a/big.bin", content: noise(4 * 2 ** 20) }, { name: "b.txt", content: "b" }];
  const root = (await storage.form(files, {}, "?directory=true")).expect(200).string("cid");
  const head = (method: string, path: string, headers: string) =>
    `${method} /v1/storage/${path} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${key}\r\n${headers}\r\n`;
  const form = "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 9000000\r\n";
  const part = '--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n';
  const tus = "Tus-Resumable: 1.0.0\r\nUpload-Length: 9000\r\nContent-Type: application/offset+octet-stream\r\n";
  const requests = [
    head("GET", `get/${root}/a/big.bin`, ""),
    head("GET", `get/${root}/a/big.bin`, "Range: bytes=0-9,100000-200000,3000000-\r\n"),
    head("GET", `get/${root}?format=car`, ""),
    head("GET", `get/${root}?format=tar`, ""),
    head("GET", `directory/${root}`, ""),
    head("POST", "upload", form) + part + "x".repeat(100_000),
    head("POST", "upload?directory=true", form) + part + "x".repeat(100_000),
    head("POST", "car", "Content-Type: application/vnd.ipld.car\r\nContent-Length: 9000000\r\n") + ":",
    head("POST", "uploads", `${tus}Content-Length: 9000\r\n`) + "x".repeat(5_000),
  ];
  const leaveAll = async () => {
    for (const [i, request] of requests.entries()) {
      const connection = await RawConnection.open(gateway.url);
      await connection.send(request);
      if (i % 2 === 0 && request.startsWith("GET")) await until("it begins", () => connection.received !== "");
      await connection.close();
    }
  };
  const stored = () => filesIn(`${gateway.dataFolder}/storage`),
    staged = () => filesIn(`${gateway.dataFolder}/uploads`);
  await leaveAll();
  await until("the first have gone", async () => (await storage.form([{ name: "x", content: "x" }])).status === 200);
  const before = stored(), most = staged(), open = descriptors();
  for (let round = 0; round < 40; round++) await leaveAll();
  await until("all is closed", () => descriptors() <= open);
  // Of those before, some may still have been winding up when it was counted.
  await until("nothing is left", () => staged() <= most);
  equal(stored(), before);
  ok((await storage.read(`${root}/b.txt`)).bytes.length === 1);
  equal((await storage.call("GET", "objects")).expect(200).get("total"), 2);
});
