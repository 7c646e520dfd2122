import type { Route } from "../../src/http/route.ts";
import { asyncApi } from "./asyncapi.ts";
import { realtimeSocket } from "./socket.ts";

/** One socket for many topics, and its description. */
export const realtimeRoutes: readonly Route[] = [realtimeSocket, asyncApi];
