export { BOUNDS, PAGE } from "./bounds.ts";
export { prepareModule } from "./prepare.ts";
export { readModule } from "./read.ts";
