import { listPins } from "./list.ts";
import { addPin, getPin, removePin, replacePin } from "./pins.ts";

/** Pin requests of the namespace, as the IPFS Pinning Service API has them. */
export const pinRoutes = [listPins, addPin, getPin, replacePin, removePin];
