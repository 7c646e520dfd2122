import type { Services } from "../contracts/services.ts";
import type { Route } from "./route.ts";

/** Finds what `OPTIONS` has to tell beyond CORS on the path of a request. */
export type OptionsHeaders = (request: Request) => Readonly<Record<string, string>> | undefined;

/** Gathers what routes want `OPTIONS` to tell on their paths. */
export function optionsHeaders(routes: readonly Route[], services: Services): OptionsHeaders {
  const telling = routes.flatMap(({ path, options }) => options ? [{ matches: patternOf(path), options }] : []);
  return ({ url }) => {
    // Its host may be anything, so no URL parser sees it.
    const [target = ""] = url.slice(url.indexOf("/", url.indexOf("://") + 3)).split("?", 1);
    return telling.find(({ matches }) => matches.test(target))?.options(services);
  };
}

const patternOf = (path: string) =>
  new RegExp(`^${path.replaceAll(/[.*+?^$()|[\]\\]/g, "\\$&").replaceAll(/:\w+/g, "[^/]+")}$`);
