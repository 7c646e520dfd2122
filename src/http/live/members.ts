import { GatewayError } from "../../contracts/errors.ts";
import type { Member } from "../../contracts/pubsub.ts";

/** Which of those who are in a topic are asked for. */
export interface MembersQuery {
  /** `next` of the page before. */
  readonly after?: string | undefined;
  /** Members, at most. */
  readonly limit: number;
  /** Characters of all of them, at most; one comes always. */
  readonly maxLength: number;
}

/** Some of those who are in a topic. */
export interface MembersPage {
  /** A JSON list. */
  readonly text: string;
  /** How many there are in the topic. */
  readonly count: number;
  /** Where to go on; `undefined` where these are the last. */
  readonly next: string | undefined;
}

type Encode = (member: Member) => unknown;

/** The page that was made last of each list: whoever comes to a topic asks for the same. */
const lately = new WeakMap<
  readonly Member[],
  { readonly of: MembersQuery; readonly by: Encode; readonly page: MembersPage }
>();

/**
 * A page of those who are in a topic. Who comes and leaves between two pages is in neither, or in one of them; nobody else is missing.
 * @param members as the service has them @throws GatewayError `INVALID_REQUEST` for what was never `next`
 */
export function membersPage(members: readonly Member[], encode: Encode, query: MembersQuery): MembersPage {
  const { after, limit, maxLength } = query;
  const known = lately.get(members);
  const isSame = known?.by === encode && known.of.after === after && known.of.limit === limit &&
    known.of.maxLength === maxLength;
  if (isSame) return known.page;
  const from = after === undefined ? 0 : behind(members, placeIn(after));
  const texts: string[] = [];
  for (let length = 0; texts.length < limit && from + texts.length < members.length;) {
    const text = JSON.stringify(encode(members[from + texts.length]!));
    length += text.length + 1;
    if (length > maxLength && texts.length > 0) break;
    texts.push(text);
  }
  const end = from + texts.length;
  const next = end < members.length ? placeText(members[end - 1]!) : undefined;
  const page = { text: `[${texts.join(",")}]`, count: members.length, next };
  lately.set(members, { of: query, by: encode, page });
  return page;
}

/** Where somebody stands among the others: also once they have left. */
type Place = Pick<Member, "joinedAt" | "id">;

const BASE64URL = { alphabet: "base64url", omitPadding: true } as const;

const placeText = ({ joinedAt, id }: Place) => new TextEncoder().encode(`${joinedAt}:${id}`).toBase64(BASE64URL);

function placeIn(text: string): Place {
  const [, at, id] = /^(\d{1,16}):(.+)$/s.exec(decoded(text) ?? "") ?? [];
  if (at !== undefined && id !== undefined) return { joinedAt: Number(at), id };
  const problem = "must be `next` of the page before";
  throw new GatewayError("INVALID_REQUEST", `after: ${problem}`, { details: [{ field: "after", problem }] });
}

function decoded(text: string): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.fromBase64(text, BASE64URL));
  } catch {
    return undefined;
  }
}

/** The first behind a place. */
function behind(members: readonly Member[], { joinedAt, id }: Place): number {
  const found = members.findIndex((member) =>
    member.joinedAt > joinedAt || member.joinedAt === joinedAt && member.id > id
  );
  return found < 0 ? members.length : found;
}
