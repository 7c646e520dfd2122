import type { Config } from "../../config/index.ts";
import type { ControlDatabase } from "../../services/control_plane/control_database.ts";
import { type ControlServices, controlServices } from "../control_services.ts";
import { openDrivers } from "../drivers.ts";
import { CommandError } from "./output.ts";

/** What the command line does is done in its name. */
export const ACTOR = { subject: "command-line" } as const;

/** And by no request. */
export const CONTEXT = { requestId: "", clientAddress: "local", signal: new AbortController().signal } as const;

/** Works on the control plane that a configuration names, beside gateways that may be running. */
export async function onControlPlane(
  config: Config,
  work: (services: ControlServices, control: ControlDatabase) => Promise<void>,
): Promise<void> {
  const databaseOf = () => Promise.reject(new CommandError("no SQL is run here"));
  const { control, migrate, databaseNames: databases, close } = await openDrivers(config, { databaseOf }, "command");
  try {
    await migrate();
    const random = (n: number) => crypto.getRandomValues(new Uint8Array(n));
    await work(controlServices({ config, control, databases, now: Date.now, random }), control);
  } finally {
    await close();
  }
}
