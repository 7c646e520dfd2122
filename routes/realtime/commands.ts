import { GatewayError, hasCode } from "../../src/contracts/errors.ts";
import type { Principal } from "../../src/contracts/identity.ts";
import type { Payload } from "../../src/contracts/pubsub.ts";
import type { PubSubRules } from "../../src/contracts/settings.ts";
import { callerOf } from "../../src/contracts/topic_rights.ts";
import { JsonSource } from "../../src/http/json_source.ts";
import { assertOrigin, maxFrameBytes, metaWithin } from "../../src/http/live/admission.ts";
import { memberJson } from "../../src/http/live/encodings.ts";
import { type MembersPage, membersPage } from "../../src/http/live/members.ts";
import { LARGE_COMMAND, Pace } from "../../src/http/live/pace.ts";
import { assertFits, payloadOf } from "../../src/http/live/payload.ts";
import { assertMayUse, assertMember, identify, kindOf } from "../../src/http/live/standing.ts";
import { type Command, idOf, type Line, MAX_MEMBERS } from "./frames.ts";
import { partLength, partOf } from "./parts.ts";
import type { Session } from "./session.ts";
import type { Known } from "./start.ts";

const encoder = new TextEncoder();
/** Topics of which it is remembered what was refused. */
const REFUSED = 1_000;
/** Messages of an answer to `history`, where nobody says how many. */
const PAGE = 100;

/**
 * What each command does. Those about one topic come one after the other, those about several side by side: one topic that waits for
 * other gateways keeps nobody from the rest.
 */
export class Commands {
  /** What is under way, by topic. */
  readonly #underWay = new Map<string, Promise<void>>();
  /** By topic the last that was to publish and was refused for now. */
  readonly #refused = new Map<string, { readonly id: number; readonly error: unknown }>();

  constructor(private readonly session: Session) {}

  /** Runs a command and sees to its answer. @throws GatewayError for one that cannot be run */
  run(line: Line, command: Command): void {
    const { session } = this;
    switch (command.type) {
      case "connect":
        return void session.hold(this.#connect(line, command.token));
      case "refresh":
        return void session.hold(this.#refresh(line, command.token));
      case "ping":
        return session.answer(line, "");
      case "subscribe":
        return this.#inOrder(line, command.topic, () => this.#subscribe(line, command));
      case "unsubscribe":
        return this.#inOrder(line, command.topic, () => {
          session.subscriptions.remove(command.topic);
          session.answer(line, `"topic":${JSON.stringify(command.topic)}`);
        });
      case "publish":
        return this.#publish(line, command);
      case "presence":
        return this.#inOrder(line, command.topic, () => this.#presence(line, command));
      case "history":
        return this.#inOrder(line, command.topic, () => this.#history(line, command));
    }
  }

  /** Remembers a command that was refused for now: those that are to keep their order behind it are refused with it. */
  refused({ name, value: { topic, id } }: Line, error: unknown): void {
    if (name !== "publish" || typeof topic !== "string" || topic.length > 255 || typeof id !== "number") return;
    // What the socket sent too much of is refused before what is under way.
    const last = Math.max(id, this.#refused.get(topic)?.id ?? 0);
    this.#refused.delete(topic);
    this.#refused.set(topic, { id: last, error });
    if (this.#refused.size <= REFUSED) return;
    const [oldest] = this.#refused.keys();
    this.#refused.delete(oldest!);
  }

  #inOrder(line: Line, topic: string, work: () => void | Promise<void>): void {
    const before = this.#underWay.get(topic);
    const running = before ? before.then(() => this.session.over ? undefined : work()) : work();
    if (!(running instanceof Promise)) return;
    const done = this.session.counted(line, running.catch((error) => this.session.fail(line, error)));
    this.#underWay.set(topic, done);
    void done.then(() => {
      if (this.#underWay.get(topic) === done) this.#underWay.delete(topic);
    });
  }

  async #connect(line: Line, token: string | undefined): Promise<void> {
    const { session } = this;
    try {
      if (token !== undefined) await this.#become(token);
      else if (session.standing === undefined) throw new GatewayError("UNAUTHENTICATED", "token: is missing");
      if (session.over) return;
      const { context, standing, rules, services: { connections: { settings } } } = session;
      const { namespace, expiresAt } = standing!.principal;
      const answer = {
        client: context.requestId,
        namespace,
        expires_at: expiresAt,
        ping_interval: settings.idleTimeout,
        max_frame_bytes: maxFrameBytes(rules!),
        max_frame_commands: settings.commandsPerFrame,
        ...(settings.commandsPerSecond > 0 && {
          commands_per_second: settings.commandsPerSecond,
          commands_burst: Pace.burst(settings.commandsPerSecond),
          large_command: LARGE_COMMAND,
        }),
      };
      session.answer(line, JSON.stringify(answer).slice(1, -1));
    } catch (error) {
      session.fail(line, error);
      // Who is known already stays who it was.
      if (session.standing !== undefined) return;
      if (hasCode(error, "UNAUTHENTICATED", "INVALID_CREDENTIAL")) session.end(4401, "the credential is not good");
      else if (hasCode(error, "FORBIDDEN")) session.end(4403, "the credential may not be used here");
      else if (hasCode(error, "TOO_MANY_SOCKETS")) session.end(4430, "too many sockets");
    }
  }

  async #refresh(line: Line, token: string): Promise<void> {
    const { session } = this;
    try {
      await this.#become(token);
      if (!session.over) {
        const { expiresAt } = session.standing!.principal;
        session.answer(line, expiresAt === undefined ? "" : `"expires_at":${expiresAt}`);
      }
    } catch (error) {
      session.fail(line, error);
    }
  }

  /** Takes a credential, in place of the one before if there is one. */
  async #become(credential: string): Promise<void> {
    const { session } = this;
    const { authenticator, settings, connections } = session.services;
    const principal = await identify(authenticator, kindOf(credential), credential, session.beforeLookup);
    if (principal === undefined) throw new GatewayError("INVALID_CREDENTIAL", "invalid API key or token");
    if (principal.operator) {
      throw new GatewayError("FORBIDDEN", "an operator's credential has no namespace; use one of the namespace");
    }
    const before = session.standing?.principal;
    if (before !== undefined && before.namespace !== principal.namespace) {
      throw new GatewayError("NAMESPACE_MISMATCH", "this credential belongs to another namespace");
    }
    const { pubsub: rules } = await settings.rulesOf(principal.namespace, session.context);
    assertOrigin(rules, session.origin);
    if (session.over) return;
    const known: Known = { credential, principal, rules };
    session.admit(known, connections.enter("realtime", principal, rules, before));
  }

  async #subscribe(line: Line, { topic, since, presence = false, member }: Command<"subscribe">): Promise<void> {
    const { session } = this;
    const { subscriptions, context } = session;
    const { principal, rules } = this.#who();
    assertMayUse(principal, "subscribe", topic);
    if (presence || member !== undefined) assertMayUse(principal, "presence", topic);
    if (member !== undefined) assertMember(principal, member.id);
    if (subscriptions.size >= rules.maxTopicsPerSocket) {
      throw new GatewayError("TOO_MANY_SUBSCRIPTIONS", `a socket may have ${rules.maxTopicsPerSocket} topics`);
    }
    const options = {
      since,
      presence,
      member: member && { id: member.id, meta: metaWithin(member.meta, rules, "member.meta") },
    };
    const made = await subscriptions.add(principal.namespace, topic, options, context.as(callerOf(principal)));
    if (made === undefined) throw new GatewayError("CONFLICT", "the subscription ended before it was made");
    const { recovered, unrecovered, missed } = made;
    const members = presence ? this.#members(topic) : undefined;
    // Who wants no answer is told all of it in the other way.
    const { texts, next } = idOf(line) === undefined
      ? { texts: [], next: 0 }
      : partOf(topic, missed, 0, rules.maxQueueBytes);
    const position = next < missed.length ? missed[next - 1]?.position : made.position;
    const count = next < missed.length ? missed.length : undefined;
    const about = { topic, position, recovered, unrecovered, missed_count: count, members_next: members?.next };
    const lists = `${members === undefined ? "" : `"members":${members.text},`}"missed":[${texts.join(",")}]`;
    session.answer(line, `${JSON.stringify(about).slice(1, -1)},${lists}`);
    session.replay(topic, missed, next);
  }

  #publish(line: Line, command: Command<"publish">): void {
    const { session } = this;
    const { topic, idempotency_key: idempotencyKey, after = Infinity } = command;
    const { principal, rules } = this.#who();
    assertMayUse(principal, "publish", topic);
    const payloads = payloadsOf(line, command, rules);
    const publisher = session.context.as(callerOf(principal));
    const failed = (error: unknown): never => {
      if (hasCode(error, "RATE_LIMITED")) this.refused(line, error);
      throw error;
    };
    const publish = () => {
      const before = this.#refused.get(topic);
      if (before !== undefined && before.id >= after) throw before.error;
      const { namespace } = principal;
      const published = session.services.pubsub.publish(namespace, topic, payloads, { idempotencyKey }, publisher);
      const told = ({ position, repeated }: Awaited<typeof published>) =>
        session.answer(line, JSON.stringify({ position, repeated }).slice(1, -1));
      return published instanceof Promise ? published.then(told) : told(published);
    };
    this.#inOrder(line, topic, () => {
      try {
        const running = publish();
        return running instanceof Promise ? running.catch(failed) : running;
      } catch (error) {
        return failed(error);
      }
    });
  }

  #presence(line: Line, { topic, after, limit }: Command<"presence">): void {
    assertMayUse(this.#who().principal, "presence", topic);
    const { text, count, next } = this.#members(topic, after, limit);
    this.session.answer(line, `${JSON.stringify({ topic, count, next }).slice(1, -1)},"members":${text}`);
  }

  #members(topic: string, after?: string, limit = MAX_MEMBERS): MembersPage {
    const { principal: { namespace }, rules } = this.#who();
    const query = { after, limit, maxLength: partLength(rules.maxQueueBytes) };
    return membersPage(this.session.services.pubsub.members(namespace, topic), memberJson, query);
  }

  async #history(line: Line, { topic, since, limit = PAGE }: Command<"history">): Promise<void> {
    const { session } = this;
    const { principal, rules } = this.#who();
    assertMayUse(principal, "subscribe", topic);
    const page = await session.services.pubsub.history(principal.namespace, topic, { since, limit }, session.context);
    const { texts, next } = partOf(topic, page.messages, 0, rules.maxQueueBytes);
    const isCut = next < page.messages.length;
    const position = isCut ? page.messages[next - 1]!.position : page.position;
    const told = JSON.stringify({ topic, position, more: isCut || page.more, complete: page.complete }).slice(1, -1);
    session.answer(line, `${told},"messages":[${texts.join(",")}]`);
  }

  #who(): { readonly principal: Principal; readonly rules: PubSubRules } {
    const { standing, rules } = this.session;
    if (!standing || !rules) throw new Error("a command ran before anybody was known");
    return { principal: standing.principal, rules };
  }
}

function payloadsOf(
  { text }: Line,
  { data, data_base64, messages }: Command<"publish">,
  { maxMessageBytes }: PubSubRules,
): Payload[] {
  const source = new JsonSource(encoder.encode(text));
  const list = source.member(source.start, "messages");
  if (messages === undefined || list === undefined) {
    const payload = payloadOf({ data, data_base64 }, source, source.start);
    assertFits(payload, maxMessageBytes, payload.json ? "data" : "data_base64");
    return [payload];
  }
  const other = source.member(source.start, "data") !== undefined ? "data" : data_base64 && "data_base64";
  if (other) {
    const problem = "cannot go with messages";
    throw new GatewayError("INVALID_REQUEST", `${other}: ${problem}`, { details: [{ field: other, problem }] });
  }
  const items = source.items(list);
  return messages.map((message, i) => {
    const payload = payloadOf(message, source, items[i]!, `messages.${i}.`);
    assertFits(payload, maxMessageBytes, `messages.${i}`);
    return payload;
  });
}
