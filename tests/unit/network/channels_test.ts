import { deepEqual, equal } from "node:assert/strict";
import type { NetworkNode } from "../../../services/network/node.ts";
import { Channels } from "../../../services/pubsub/mesh/libp2p_channels.ts";

/** Channels of a node that does nothing but note what is joined and left. */
function channels(maxChannels: number) {
  const done: string[] = [], errors: string[] = [];
  const gossip = {
    subscribe: (channel: string) => void done.push(`+${channel}`),
    unsubscribe: (channel: string) => void done.push(`-${channel}`),
    decodeRpc() {},
    handleReceivedRpc() {},
    pipePeerReadStream() {},
    sendRpc() {},
    sendRpcInBatch() {},
    score: { rejectInvalidMessage() {} },
    peers: new Map(),
    streamsInbound: new Map(),
    streamsOutbound: new Map(),
  };
  const node = { gossip, idBytes: new Uint8Array(1) } as unknown as NetworkNode;
  const made = new Channels({
    node,
    maxBytes: 1,
    maxChannels,
    monotonic: () => 0,
    received() {},
    onError: (what) => void errors.push(what),
  });
  return { channels: made, done, errors };
}

Deno.test("channels beyond those that there may be wait, and are counted, until another is left", () => {
  const { channels: subject, done, errors } = channels(2);
  for (const channel of ["a", "b", "c", "d", "e", "c", "a"]) subject.join(channel);
  deepEqual(done, ["+a", "+b"]);
  equal(subject.figures.unjoined, 3);
  deepEqual(errors, ["channels are not joined"], "once, however many they are");
  subject.leave("d");
  equal(subject.figures.unjoined, 2);
  subject.leave("a");
  subject.leave("a");
  deepEqual(done, ["+a", "+b", "-a", "+c"]);
  subject.leave("b");
  deepEqual(done.slice(4), ["-b", "+e"]);
  equal(subject.figures.unjoined, 0);
  subject.leave("c");
  subject.join("d");
  deepEqual(done.slice(6), ["-c", "+d"]);
  subject.leave("unknown");
  equal(errors.length, 1);
});
