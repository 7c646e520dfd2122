import { Command } from "commander";
import { trustedWallet } from "../../services/auth/crypto/wallet.ts";
import { type ConfigFlags, loadFrom, withConfigFlags } from "./load.ts";
import { ACTOR, CONTEXT, onControlPlane } from "./on_control_plane.ts";
import { out } from "./output.ts";

interface Flags extends ConfigFlags {
  readonly owner: string;
}

/** `namespaces`: namespaces and who owns them, for whoever runs the node. Works beside a running gateway. */
export const namespacesCommand = (): Command =>
  new Command("namespaces")
    .description("Make namespaces for wallets, also where only operators may.")
    .addCommand(
      owned(new Command("create"))
        .description("Make a namespace that a wallet owns: it signs in and finds it.")
        .action(create),
    )
    .addCommand(
      owned(new Command("add-owner"))
        .description("Make a wallet an owner of a namespace that exists, beside those it has.")
        .action(addOwner),
    );

const owned = (command: Command): Command =>
  withConfigFlags(command)
    .argument("<name>", "the namespace's name")
    .requiredOption("-o, --owner <wallet>", "an Ethereum or Solana address");

async function create(name: string, flags: Flags): Promise<void> {
  const { config, owner } = given(flags);
  await onControlPlane(config, async ({ namespaces }) => {
    await namespaces.createBySystem(name, owner, ACTOR.subject, CONTEXT);
    out(JSON.stringify({ namespace: name, owner }));
  });
}

async function addOwner(name: string, flags: Flags): Promise<void> {
  const { config, owner } = given(flags);
  await onControlPlane(config, async ({ namespaces, members }) => {
    await namespaces.databaseOf(name);
    await members.set(name, owner, "owner", { ...ACTOR, role: "owner" }, CONTEXT);
    out(JSON.stringify({ namespace: name, owner }));
  });
}

const given = (flags: Flags) => ({ owner: trustedWallet(flags.owner, "--owner"), config: loadFrom(flags).config });
