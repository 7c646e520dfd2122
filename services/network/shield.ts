/**
 * Where what was thrown comes from: of libp2p and what it stands on. The stack is that of the moment at which the error was made.
 */
const LIBRARIES = /(@libp2p|@chainsafe|libp2p|it-[a-z-]+|p-event|race-signal|main-event|mortice|multicast-dns)\//;

/** What only libp2p throws, by its name: in one file of the whole gateway, stacks do not tell. */
const NAMES = new Set([
  "ConnectionClosedError",
  "ConnectionDeniedError",
  "ConnectionInterceptedError",
  "EncryptionFailedError",
  "InvalidDataLengthError",
  "InvalidMessageLengthError",
  "MuxerClosedError",
  "NotStartedError",
  "StreamBufferError",
  "StreamClosedError",
  "StreamResetError",
  "StreamStateError",
  "TooManyInboundProtocolStreamsError",
  "TooManyOutboundProtocolStreamsError",
  "UnexpectedEOFError",
  "UnsupportedProtocolError",
]);

/** Whether libp2p made an error. */
const isOfLibrary = (error: unknown): boolean =>
  error instanceof Error && (NAMES.has(error.name) || LIBRARIES.test(error.stack ?? ""));

/**
 * Keeps failures that libp2p left uncaught from ending the process: what a peer sends must never do that. Anything else goes its
 * way.
 * @param caught told of each
 * @returns ends it
 */
export function shield(caught: (error: unknown) => void): () => void {
  const mind = (event: Event, error: unknown) => {
    if (!isOfLibrary(error)) return;
    event.preventDefault();
    caught(error);
  };
  const onRejection = (event: PromiseRejectionEvent) => mind(event, event.reason);
  const onError = (event: ErrorEvent) => mind(event, event.error);
  globalThis.addEventListener("unhandledrejection", onRejection);
  globalThis.addEventListener("error", onError);
  return () => {
    globalThis.removeEventListener("unhandledrejection", onRejection);
    globalThis.removeEventListener("error", onError);
  };
}
