// A new domain is one file beside this one and one line here; the name of the export is the name of the section.
export { anyone } from "./anyone.ts";
export { auth } from "./auth.ts";
export { cache } from "./cache.ts";
export { data } from "./data.ts";
export { database } from "./database.ts";
export { egress } from "./egress.ts";
export { functions } from "./functions.ts";
export { http } from "./http.ts";
export { limits } from "./limits.ts";
export { log } from "./log.ts";
export { metrics } from "./metrics.ts";
export { namespaces } from "./namespaces.ts";
export { network } from "./network.ts";
export { pubsub } from "./pubsub.ts";
export { storage } from "./storage.ts";
export { webhooks } from "./webhooks.ts";
