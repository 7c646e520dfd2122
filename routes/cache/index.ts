import { increment } from "./counter.ts";
import { deleteEntry } from "./delete.ts";
import { get } from "./get.ts";
import { health } from "./health.ts";
import { expire, timeToLive } from "./lifetime.ts";
import { lock, renew, unlock } from "./locks.ts";
import { deleteMany, getMany, putMany, touch } from "./many.ts";
import { dropMap, listMaps } from "./maps.ts";
import { put } from "./put.ts";
import { deleteRaw, getRaw, putRaw } from "./raw.ts";
import { scan } from "./scan.ts";
import { swap } from "./swap.ts";

/** The namespace's cache. */
export const cacheRoutes = [
  health,
  put,
  get,
  getMany,
  deleteEntry,
  scan,
  increment,
  expire,
  touch,
  timeToLive,
  swap,
  putMany,
  deleteMany,
  lock,
  renew,
  unlock,
  listMaps,
  dropMap,
  getRaw,
  putRaw,
  deleteRaw,
];
