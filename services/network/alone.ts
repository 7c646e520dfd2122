import { GatewayError } from "../../src/contracts/errors.ts";
import type { Network, NetworkState } from "../../src/contracts/network.ts";
import { askedAddress, askedPeer } from "./addresses.ts";

const ALONE: NetworkState = { self: undefined, peers: [] };

/** A gateway that belongs to no network. */
export class NoNetwork implements Network {
  state(): NetworkState {
    return ALONE;
  }

  connect(address: string): Promise<void> {
    return refused(() => {
      askedAddress(address);
      return new GatewayError("CONFLICT", "this gateway belongs to no network: pubsub.driver is local");
    });
  }

  disconnect(peer: string): Promise<void> {
    return refused(() => {
      askedPeer(peer);
      return new GatewayError("NOT_FOUND", "no such peer is connected");
    });
  }
}

const refused = (why: () => GatewayError): Promise<never> => Promise.try(() => Promise.reject(why()));
