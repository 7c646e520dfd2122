import type { Route } from "../../src/http/route.ts";
import { proxyAnonymously } from "./anon.ts";
import { proxyStream } from "./stream.ts";

/** Requests that leave through an anonymous proxy. */
export const proxyRoutes: readonly Route[] = [proxyAnonymously, proxyStream];
