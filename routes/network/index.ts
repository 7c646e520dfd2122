import { networkConnect } from "./connect.ts";
import { networkDisconnect } from "./disconnect.ts";
import { networkPeers } from "./peers.ts";
import { networkStatus } from "./status.ts";

/** The other gateways of the cluster. */
export const networkRoutes = [networkStatus, networkPeers, networkConnect, networkDisconnect];
