/** Another gateway of the cluster, by the name that its key gives it: a libp2p peer id in text. Nobody else can have it. */
export type NodeId = string;

/** What the network tells. Nothing of it may throw. */
export interface MeshHandler {
  /** A message of a channel that was joined. It may come twice, late, in any order, or never; `origin` is proved by its signature. */
  received(channel: string, origin: NodeId, bytes: Uint8Array<ArrayBuffer>): void;
  /** A link to another gateway is there: {@link Mesh.send} reaches it from now on. */
  linked(node: NodeId): void;
  /** The link is gone, and what was on its way with it. */
  unlinked(node: NodeId): void;
  /** A frame that came over a link: in the order in which it was sent, each once. */
  frame(node: NodeId, bytes: Uint8Array<ArrayBuffer>): void;
  /** A question. @returns the answer @throws whatever: the one who asks gets no answer then */
  asked(node: NodeId, question: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
}

/**
 * What gateways of one cluster have of the network between them. Messages go to whoever takes part in a channel, over as many hops as
 * it takes; links and questions go to gateways with which there is a connection.
 */
export interface Mesh {
  /** This gateway. */
  readonly node: NodeId;
  /** Bytes of a message, a frame, a question or an answer, at most. */
  readonly maxBytes: number;
  /** Begins to tell. Called once. */
  start(handler: MeshHandler): Promise<void>;
  /** Takes part in a channel, or no longer. Both do nothing the second time. */
  join(channel: string): void;
  leave(channel: string): void;
  /** Sends to whoever else takes part in a channel, without waiting for anyone. Nobody hears of its loss. */
  publish(channel: string, bytes: Uint8Array<ArrayBuffer>): void;
  /** Gateways to which there is a link. */
  readonly links: ReadonlySet<NodeId>;
  /**
   * Sends a frame over a link. Does nothing without one. A link whose queue is full is cut, so that the other side knows that
   * something is missing, and made anew.
   */
  send(node: NodeId, bytes: Uint8Array<ArrayBuffer>): void;
  /** Asks. @throws without a link, when the signal fires, or when there is no answer */
  ask(node: NodeId, question: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
  /** Leaves. What was sent is sent first, within a second. */
  close(): Promise<void>;
}

/** How gateways find each other, beside a {@link Mesh}. */
export interface Meeting {
  /** Where this gateway can be reached, to be told to the others: multiaddrs with its name at the end. They may change. */
  readonly addresses: readonly string[];
  /**
   * Says which gateways there are, all of them, and where. Those without a connection are dialled, again and again with growing
   * pauses; those that are no longer named are not dialled any more.
   */
  know(gateways: ReadonlyMap<NodeId, readonly string[]>): void;
}
