import type { Change, NamespaceSettings } from "../../../../src/contracts/settings.ts";
import { ALICE, Node, principal } from "../../auth/support/node.ts";
import { CONTEXT } from "../../control_plane/support/context.ts";
import { settingsOn } from "./settings.ts";

/** Owns the namespace of {@link shop}. */
export const alice = principal({ wallet: ALICE, role: "owner" });
/** Whoever runs the nodes. */
export const operator = principal({ namespace: "", operator: true, subject: "key:operator" });

/** A namespace with its rules of one domain, and how its owner changes them. */
export async function shop<Domain extends "pubsub" | "egress">(domain: Domain) {
  const node = await Node.start();
  await node.namespace("shop", ALICE);
  const { settings } = settingsOn(node);
  return {
    node,
    settings,
    rules: async () => (await settings.rulesOf("shop"))[domain],
    change: (values: NonNullable<Change<NamespaceSettings>[Domain]>) =>
      settings.changeSettings("shop", { [domain]: values }, alice, CONTEXT),
    [Symbol.asyncDispose]: () => node[Symbol.asyncDispose](),
  };
}
