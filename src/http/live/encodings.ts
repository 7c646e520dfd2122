import type { Delivery, HistoryPage, Member, Message, TopicEvent } from "../../contracts/pubsub.ts";
import { type Piece, pieceOf } from "./outbox.ts";

/** Functions to give to `Delivery.as`: what they make is made once for all subscribers. Wire members are in snake_case. */

const utf8 = new TextDecoder();
const encoder = new TextEncoder();

/** A delivery as the multiplexed protocol has it: an object for each event, with line breaks between them. */
export function eventLines({ topic, events }: Delivery): Piece {
  const lines = events.map((event) => eventText(topic, event));
  return pieceOf(lines.join("\n"), topic, lastPosition(events));
}

/** Where somebody stands who has these events: joins and leaves have no place in the order of messages. */
function lastPosition(events: readonly TopicEvent[]): string | undefined {
  for (let i = events.length - 1; i >= 0; i--) {
    const event = events[i]!;
    if (event.kind === "message" || event.kind === "gap") return event.position;
  }
  return undefined;
}

/** One event as an object of the multiplexed protocol, on one line. */
export function eventText(topic: string, event: TopicEvent): string {
  const about = `"topic":${JSON.stringify(topic)}`;
  switch (event.kind) {
    case "message":
      return `{"type":"message",${about},${messageMembers(event)}}`;
    case "gap":
      return gapText(topic, event.reason, event.position);
    default:
      return `{"type":"${event.kind}",${about},"member":${JSON.stringify(memberJson(event.member))},"at":${event.at}}`;
  }
}

/** The members of a message, without braces: what it holds, when it was taken, where its reader stands. */
export const messageMembers = ({ data, json, at, position }: Message): string =>
  `${json ? `"data":${jsonLine(data)}` : `"data_base64":"${data.toBase64()}"`},"at":${at}${positionMember(position)}`;

/** So much of a page as an answer may hold: one message at least. @param maxBytes of their data */
export function within(page: HistoryPage, maxBytes: number): HistoryPage {
  let bytes = 0;
  const end = page.messages.findIndex(({ data }, i) => (bytes += data.length) > maxBytes && i > 0);
  if (end === -1) return page;
  const messages = page.messages.slice(0, end);
  return { ...page, messages, position: messages.at(-1)!.position, more: true };
}

/** That something is missing. */
export const gapText = (topic: string, reason: string, position: string | undefined): string =>
  `{"type":"gap","topic":${JSON.stringify(topic)},"reason":"${reason}"${positionMember(position)}}`;

const positionMember = (position: string | undefined) =>
  position === undefined ? "" : `,"position":${JSON.stringify(position)}`;

/** JSON text without line breaks: outside of strings they mean nothing, and inside they are escaped. */
function jsonLine(data: Uint8Array): string {
  const text = utf8.decode(data);
  return /[\r\n]/.test(text) ? text.replaceAll(/[\r\n]/g, " ") : text;
}

/** A member as the multiplexed protocol tells of it. */
export const memberJson = ({ id, meta, joinedAt, connections }: Member): Record<string, unknown> => ({
  id,
  meta,
  joined_at: joinedAt,
  connections,
});

/** A delivery as the socket of one topic has it: a frame for each event. */
export const envelopes = ({ topic, events }: Delivery): readonly Piece[] =>
  events.map((event) => {
    const position = event.kind === "message" || event.kind === "gap" ? event.position : undefined;
    return pieceOf(envelopeText(topic, event), topic, position);
  });

/**
 * One event in the envelope of the socket of one topic. What is no message stands in it twice: as its data, where one kind of client
 * looks for it, and as members of the envelope, where another does.
 */
export function envelopeText(topic: string, event: TopicEvent): string {
  if (event.kind === "message") return envelope("", event.data, event.at, topic);
  const now = event.kind === "gap" ? Date.now() : event.at;
  const inner = event.kind === "gap" ? { type: "gap", reason: event.reason } : {
    type: `presence.${event.kind}`,
    member_id: event.member.id,
    ...(event.kind === "join" && { meta: event.member.meta }),
  };
  const members = JSON.stringify(inner).slice(1, -1);
  const data = encoder.encode(`{${members},"timestamp":${Math.floor(now / 1000)}}`);
  return envelope(`${members},`, data, now, topic);
}

const envelope = (members: string, data: Uint8Array, at: number, topic: string) =>
  `{${members}"data":"${data.toBase64()}","timestamp":${at},"topic":${JSON.stringify(topic)}}`;
