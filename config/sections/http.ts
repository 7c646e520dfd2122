import { field, group, section } from "../field.ts";
import { byteSize } from "../kinds/byte_size.ts";
import { cidr } from "../kinds/cidr.ts";
import { list } from "../kinds/collections.ts";
import { duration, LONGEST_TIMER } from "../kinds/duration.ts";
import { listenAddress } from "../kinds/listen_address.ts";
import { integer } from "../kinds/plain.ts";
import { origin, originOrAny } from "../kinds/url.ts";

const timer = (min = "1ms") => duration({ min, max: LONGEST_TIMER });

/** How the gateway listens, and what it takes from a client. */
export const http = section({
  description: "How the gateway listens, whom it believes, and how much it takes from a client.",
  fields: {
    listen: field(listenAddress, {
      default: "127.0.0.1:6001",
      description:
        "Where to listen: `host:port`, `[::1]:6001`, `:6001` for every IPv4 interface, `[::]:6001` for every interface, or a port alone for loopback. Port 0 lets the system choose.",
    }),
    public_url: field(origin, {
      description:
        "The address that clients use, when it is another one than that of `http.listen`, such as `https://gateway.example`.",
    }),
    trusted_proxies: field(list(cidr), {
      default: [],
      description:
        "Proxies in front of the gateway. Only a request that comes from one of these ranges may say in `X-Forwarded-For` for whom it comes.",
    }),
    cors: group({
      origins: field(list(originOrAny), {
        default: ["*"],
        description:
          "Origins whose pages may read answers; `*` for all of them. Credentials are headers, never cookies, so `*` gives nothing away.",
      }),
    }),
    body: group({
      max_bytes: field(byteSize({ min: "1B", max: "1GiB" }), {
        default: "1MiB",
        description: "The longest JSON body of a request. A longer one is 413, found while reading.",
      }),
      stall_timeout: field(timer(), {
        default: "10s",
        description: "How long a request's body may pause. Then it is 408.",
      }),
      timeout: field(timer(), {
        default: "60s",
        description: "How long a whole JSON body may take. Then it is 408: the bound on a client that keeps dripping.",
      }),
    }),
    max_json_depth: field(integer({ min: 1, max: 1000 }), {
      default: 64,
      unit: "levels",
      description: "How deep arrays and objects may nest in a JSON body.",
    }),
    shutdown: group({
      grace: field(timer("0s"), {
        default: "15s",
        description:
          "How long a stopping gateway waits for requests that are running; what still runs then is cut off.",
      }),
      delay: field(timer("0s"), {
        default: "0s",
        description:
          "How long a stopping gateway still takes new requests, so that a load balancer can see it leave; its health says so meanwhile.",
      }),
    }),
  },
});
