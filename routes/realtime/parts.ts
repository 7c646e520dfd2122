import type { Message } from "../../src/contracts/pubsub.ts";
import { eventText } from "../../src/http/live/encodings.ts";

/**
 * Characters of messages that go in one frame, where one message has not more. Whether a reader takes anything is seen by whole
 * frames alone, and one on a slow line must not begin again with all that it has missed.
 */
const PART = 64 * 1024;

/** Characters that go in one frame. @param room bytes that may wait for the reader */
export const partLength = (room: number): number => Math.min(PART, room / 4);

/** Some of many messages, each as an object of the protocol. */
export interface Part {
  readonly texts: readonly string[];
  /** Which message is the next. */
  readonly next: number;
}

/** Messages from one on, one at least where there is any. @param room bytes that may wait for the reader */
export function partOf(topic: string, messages: readonly Message[], from: number, room: number): Part {
  const most = partLength(room);
  const texts: string[] = [];
  let next = from;
  for (let size = 0; next < messages.length; next++) {
    const text = eventText(topic, messages[next]!);
    if (next > from && size + text.length >= most) break;
    texts.push(text);
    size += text.length + 1;
  }
  return { texts, next };
}
