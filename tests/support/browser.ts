import { TiedProcess } from "../engines/support/tied_process.ts";

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
 * Opens a page in the browser.
 * @param folder gets the browser's profile and log
 */
export async function openPage(address: string, folder: string): Promise<TiedProcess> {
  if (browser === undefined) throw new Error("there is no chromium on PATH");
  return await TiedProcess.start(
    [browser, ...FLAGS, `--user-data-dir=${folder}/profile`, address],
    `${folder}/chromium.log`,
  );
}
