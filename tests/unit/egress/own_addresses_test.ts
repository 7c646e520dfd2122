import { deepEqual, equal } from "node:assert/strict";
import { OwnAddresses } from "../../../services/egress/own_addresses.ts";

function own(of: { hosts?: string[]; names?: Record<string, string[]> } = {}) {
  const world = { interfaces: ["192.168.1.2", "fe80::1%eth0"], peers: [] as string[], names: of.names ?? {} };
  const changes: (readonly string[])[] = [];
  const addresses = new OwnAddresses({
    interfaces: () => world.interfaces,
    hosts: of.hosts ?? [],
    peers: () => world.peers,
    resolver: {
      addresses: (name) =>
        world.names[name] ? Promise.resolve(world.names[name]) : Promise.reject(new Error("there is none")),
    },
    onChange: (all) => changes.push(all),
  });
  return { addresses, world, changes };
}

Deno.test("interfaces and back ends are known from the beginning, zones and names that are no addresses left out", () => {
  const { addresses } = own({ hosts: ["203.0.114.1", "2001:db9::1", "127.1", "db.test"] });
  deepEqual(addresses.all, ["192.168.1.2", "fe80::1", "203.0.114.1", "2001:db9::1"]);
});

Deno.test("names of back ends and of linked gateways are looked up, and what was found last holds on", async () => {
  const { addresses, world, changes } = own({ hosts: ["db.test", "gone.test"], names: { "db.test": ["203.0.114.2"] } });
  world.peers = ["203.0.114.3", "gateway.test"];
  world.names["gateway.test"] = ["203.0.114.4"];
  await addresses.start();
  const all = ["192.168.1.2", "fe80::1", "203.0.114.3", "203.0.114.2", "203.0.114.4"];
  deepEqual(changes, [all]);
  world.names = {};
  world.interfaces = ["192.168.1.3"];
  await addresses.start();
  deepEqual(addresses.all, ["192.168.1.3", "203.0.114.3", "203.0.114.2", "203.0.114.4"]);
  equal(changes.length, 2);
  await addresses.start();
  equal(changes.length, 2);
  addresses.close();
});
