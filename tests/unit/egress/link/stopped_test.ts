import { equal, ok, rejects } from "node:assert/strict";
import type { Clock } from "../../../../services/clock/clock.ts";
import { SYSTEM_CLOCK } from "../../../../services/clock/clock.ts";
import { until } from "../../../engines/support/wait.ts";
import { answering, HostileHttp } from "../../../support/hostile_http.ts";
import { CAN_SEE_PROCESSES, isThere } from "../../../support/host_processes.ts";
import { hopTo, NEVER, Sender } from "../process/support/sender.ts";

const ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const PROXY = { host: "127.77.0.1", port: 9 };
const CREDENTIALS = { username: "a", password: "b" };
const UNAVAILABLE = { name: "HopFailure", code: "EGRESS_UNAVAILABLE" };

/** A clock whose waits of some seconds are over after a tenth of that, while it hurries. */
class QuickClock implements Clock {
  hurries = true;
  now = SYSTEM_CLOCK.now;
  monotonic = SYSTEM_CLOCK.monotonic;

  after(ms: number, run: () => void, background?: boolean): () => void {
    return SYSTEM_CLOCK.after(this.hurries && ms >= 2_000 && ms <= 5_000 ? ms / 10 : ms, run, background);
  }
}

Deno.test({
  name: "a process that hangs is found out, replaced, and nobody is told that something may have been sent",
  ignore: !CAN_SEE_PROCESSES,
  async fn() {
    await using server = new HostileHttp(answering(ANSWER));
    const clock = new QuickClock();
    await using sender = await Sender.start({ clock, patience: 20_000 });
    const pid = sender.process.pid!;
    Deno.kill(pid, "SIGSTOP");
    try {
      await rejects(sender.send(hopTo(server.port)), UNAVAILABLE);
      equal(server.connections, 0);
      await until("there is another one", () => sender.process.pid !== undefined && sender.process.pid !== pid, 20_000);
    } finally {
      if (isThere(pid)) Deno.kill(pid, "SIGKILL");
    }
    clock.hurries = false;
    await sender.process.start();
    equal((await sender.text(hopTo(server.port))).text, "hi");
    ok(sender.lines.some((line) => /does not answer/.test(line)), sender.lines.join("\n"));
  },
});

Deno.test({
  name: "a look at a proxy by a process that hangs says nothing of the proxy, and finds the process out",
  ignore: !CAN_SEE_PROCESSES,
  async fn() {
    const clock = new QuickClock();
    await using sender = await Sender.start({ clock, patience: 20_000 });
    const pid = sender.process.pid!;
    Deno.kill(pid, "SIGSTOP");
    try {
      await rejects(sender.process.probe(PROXY, CREDENTIALS, NEVER), UNAVAILABLE);
      await until("there is another one", () => sender.process.pid !== undefined && sender.process.pid !== pid, 20_000);
    } finally {
      if (isThere(pid)) Deno.kill(pid, "SIGKILL");
    }
  },
});

Deno.test({
  name: "a process that was slow once and answers again is kept",
  ignore: !CAN_SEE_PROCESSES,
  async fn() {
    await using server = new HostileHttp(answering(ANSWER));
    // It is asked again by a clock that leaves it all the time.
    const patient: Clock = {
      ...SYSTEM_CLOCK,
      after: (ms, run, background) => SYSTEM_CLOCK.after(ms === 2_000 ? 100 : ms * 4, run, background),
    };
    await using sender = await Sender.start({ clock: patient, patience: 20_000 });
    const pid = sender.process.pid!;
    Deno.kill(pid, "SIGSTOP");
    await rejects(sender.process.probe(PROXY, CREDENTIALS, NEVER), UNAVAILABLE);
    Deno.kill(pid, "SIGCONT");
    equal((await sender.text(hopTo(server.port))).text, "hi");
    equal(sender.process.pid, pid);
    ok(!sender.lines.some((line) => /does not answer/.test(line)), sender.lines.join("\n"));
  },
});
