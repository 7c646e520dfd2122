import { createUpload } from "./create.ts";
import { appendToUpload, deleteUpload, getUpload, overrideUpload } from "./upload.ts";

/** Uploads that can be broken off and gone on with (tus 1.0.0). */
export const uploadRoutes = [createUpload, getUpload, appendToUpload, deleteUpload, overrideUpload];
