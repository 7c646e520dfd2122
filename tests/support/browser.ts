import { TiedProcess } from "../engines/support/tied_process.ts";
import { until } from "../engines/support/wait.ts";

/** Path of a browser on PATH, for tests that need one; undefined where there is none. */
export const browser = (Deno.env.get("PATH") ?? "").split(":").map((folder) => `${folder}/chromium`).find((path) => {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
});

/** It asks nobody but the page's own server: networks that refuse its maker's hosts keep it busy otherwise. */
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--disable-quic",
  "--disable-sync",
  "--disable-background-networking",
  "--disable-component-update",
  "--no-first-run",
];

/**
 * Opens a page in the browser, with a profile of its own; disposing ends the browser and removes the profile, once or
 * again. The processes that a browser starts outlive it for a moment and go on writing there, so that removing takes several tries.
 */
export async function openPage(address: string): Promise<AsyncDisposable> {
  if (browser === undefined) throw new Error("there is no chromium on PATH");
  const folder = await Deno.makeTempDir({ prefix: "orama-page-" });
  const command = [browser, ...FLAGS, `--user-data-dir=${folder}/profile`, address];
  const running = await TiedProcess.start(command, `${folder}/chromium.log`);
  return {
    async [Symbol.asyncDispose]() {
      await running.kill();
      await until("the browser's profile is removed", async () => {
        await Deno.remove(folder, { recursive: true }).catch(() => {});
        return await Deno.lstat(folder).then(() => false, () => true);
      });
    },
  };
}
