import { GatewayError } from "../../../src/contracts/errors.ts";

/** Bytes of UTF-8 that a segment may have, and segments that a path may have: what file systems take. */
const MAX_SEGMENT = 255, MAX_DEPTH = 64;
/** Letters of all paths of a directory together, since they are all in memory until its end. */
const MAX_LETTERS = 16 * 2 ** 20;

/** What is in a folder, by name: folders, and files by their numbers. */
export type Folder = ReadonlyMap<string, Folder | number>;
type OpenFolder = Map<string, OpenFolder | number>;

/** The paths of a directory, each of which may come once, and never as a file and a folder. */
export class DirectoryPaths {
  readonly #root: OpenFolder = new Map();
  #files = 0;
  #letters = 0;

  /** @param most files that it may have */
  constructor(private readonly most: number) {}

  /** All that were added. */
  get root(): Folder {
    return this.#root;
  }

  /** @returns how many came before @throws GatewayError `INVALID_REQUEST` */
  add(path: string): number {
    this.#letters += path.length;
    if (this.#files >= this.most) throw refused(`the directory has more than ${this.most} files`);
    if (this.#letters > MAX_LETTERS) throw refused(`all paths together have more than ${MAX_LETTERS} letters`);
    const segments = path.split("/");
    if (segments.length > MAX_DEPTH) throw refused(`one has more than ${MAX_DEPTH} segments`);
    segments.forEach(checkSegment);
    const name = segments.pop()!;
    let folder = this.#root;
    for (const segment of segments) {
      let next = folder.get(segment);
      if (typeof next === "number") throw refused(`\`${segment}\` is a file and a folder`);
      if (next === undefined) folder.set(segment, next = new Map());
      folder = next;
    }
    const there = folder.get(name);
    if (there !== undefined) {
      throw refused(`\`${name}\` ${typeof there === "number" ? "comes twice" : "is a file and a folder"}`);
    }
    folder.set(name, this.#files);
    return this.#files++;
  }
}

function checkSegment(segment: string): void {
  if (segment === "" || segment === "." || segment === "..") throw refused("no segment may be empty, `.` or `..`");
  if (segment.includes("\0")) throw refused("no segment may hold a NUL");
  if (!segment.isWellFormed()) throw refused("one holds half of a surrogate pair, which no UTF-8 can hold");
  if (segment.length > MAX_SEGMENT / 3 && new TextEncoder().encode(segment).length > MAX_SEGMENT) {
    throw refused(`one has a segment of more than ${MAX_SEGMENT} bytes of UTF-8`);
  }
}

const refused = (problem: string) =>
  new GatewayError("INVALID_REQUEST", `path: ${problem}`, { details: [{ field: "path", problem }] });
