import type { Migration } from "../migrate.ts";

/** Lives of gateways, numbered over the whole cluster. */
export const gatewayEpochs: Migration = {
  version: 5,
  statements: [
    // AUTOINCREMENT: positions name lives by their numbers, so none may come twice, whatever was removed meanwhile.
    `CREATE TABLE gateway_epochs (
      number INTEGER PRIMARY KEY AUTOINCREMENT,
      life TEXT NOT NULL UNIQUE CHECK (life <> ''),
      node TEXT NOT NULL CHECK (node <> ''),
      state TEXT NOT NULL CHECK (state IN ('open', 'clean', 'lost')),
      addresses TEXT NOT NULL CHECK (json_type(addresses) = 'array'),
      former INTEGER,
      renewals INTEGER NOT NULL CHECK (renewals >= 0),
      begun_at INTEGER NOT NULL,
      ended_at INTEGER CHECK ((ended_at IS NULL) = (state = 'open'))
    ) STRICT`,
    "CREATE INDEX gateway_epochs_by_node ON gateway_epochs (node, number)",
    "CREATE INDEX gateway_epochs_open ON gateway_epochs (number) WHERE state = 'open'",
    "CREATE INDEX gateway_epochs_by_end ON gateway_epochs (ended_at) WHERE ended_at IS NOT NULL",
  ],
};
