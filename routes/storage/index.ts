import { importCar } from "./car.ts";
import { listDirectory } from "./directory.ts";
import { get } from "./get.ts";
import { ipfs } from "./ipfs.ts";
import { makeLink } from "./links.ts";
import { changeObject, getObject, listObjects } from "./objects.ts";
import { pin, recover, status, unpin } from "./pins.ts";
import { upload } from "./upload.ts";
import { uploadRoutes } from "./uploads/index.ts";

/** The namespace's files, and what may be read of them from elsewhere. */
export const storageRoutes = [
  upload,
  importCar,
  pin,
  unpin,
  status,
  recover,
  get,
  listDirectory,
  listObjects,
  getObject,
  changeObject,
  makeLink,
  ipfs,
  ...uploadRoutes,
];
