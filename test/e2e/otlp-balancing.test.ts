/** Several servers behind one name: round_robin spreads calls over them, pick_first stays with one, and neither loses what it took. */

import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { askingNameServer, DnsServer, whyNoNameServer } from "../kit/dns-server.ts";
import { freePort } from "../kit/free-port.ts";
import { Arrivals, type CountingSink, GrpcLoad, maxUnderWay, startCountingSink } from "../kit/grpc-load.ts";
import { startProcess } from "../kit/processes.ts";
import { millrace } from "../kit/subjects.ts";
import { createTempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";

const name = "sinks.test";
const reason = whyNoNameServer();
/** Of the exporter: so many requests may be under way when a server dies. */
const consumers = 6;

/** Servers at one port of several addresses, the command that sends to their name, and a client that sends to the command. */
async function startWorld(count: number, exporter: object) {
  const stack = new AsyncDisposableStack();
  const folder = stack.use(createTempFolder("otlp-balancing"));
  const names = stack.use(await DnsServer.start());
  const arrivals = new Arrivals();
  const part = () => 1 + Math.floor(Math.random() * 250);
  const net = `127.${part()}.${part()}`;
  const hosts = Array.from({ length: count }, (_, i) => `${net}.${i + 1}`);
  const sinks: CountingSink[] = [];
  const startSink = async (host: string) => {
    const sink = stack.use(await startCountingSink(arrivals, { host, port: sinks[0]?.port ?? 0 }));
    sinks.push(sink);
    return sink;
  };
  for (const host of hosts) await startSink(host);
  names.records.set(name, { a: hosts });
  const grpc = await freePort();
  const config = {
    receivers: { otlp: { protocols: { grpc: { endpoint: `127.0.0.1:${grpc}` } } } },
    exporters: {
      otlp_grpc: {
        endpoint: `dns:///${name}:${sinks[0]?.port}`,
        tls: { insecure: true },
        retry_on_failure: { initial_interval: "20ms", max_interval: "100ms" },
        sending_queue: { num_consumers: consumers },
        ...exporter,
      },
    },
    service: {
      telemetry: { metrics: { level: "none" } },
      pipelines: { traces: { receivers: ["otlp"], exporters: ["otlp_grpc"] } },
    },
  };
  const command = millrace("millrace run", "run", "--config", folder.write("config.yaml", stringify(config)));
  const { process } = await startProcess(askingNameServer(command, names, folder), /Everything is ready/);
  stack.use(process);
  const load = new GrpcLoad(grpc, arrivals);
  stack.defer(() => load.stop());
  const counts = () => sinks.map(({ requests }) => requests);
  return {
    names,
    hosts,
    net,
    sinks,
    startSink,
    counts,
    /** Waits until each of these servers took so many requests more. */
    moreAt: async (wanted: readonly CountingSink[], more: number) => {
      const before = wanted.map(({ requests }) => requests);
      const isThere = () => wanted.every(({ requests }, i) => requests >= (before[i] ?? 0) + more);
      await waitFor(`${more} more calls at each`, isThere).catch((error: Error) => {
        throw new Error(`${error.message}: ${counts()} calls\n${process.tail()}`);
      });
    },
    /** Ends the load; what is left arrives. */
    async finish() {
      await load.stop();
      await waitFor("what is left", () => arrivals.missing(load.acknowledged).length === 0).catch(() => undefined);
      return { missing: arrivals.missing(load.acknowledged), refusals: load.refusals, repeated: arrivals.repeated };
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describe.skipIf(reason !== undefined)(
  `the addresses of a name${reason === undefined ? "" : `: skipped, ${reason}`}`,
  () => {
    it("share the calls unless told otherwise; those of a server that dies go to the others, and to one that takes its place", async () => {
      await using world = await startWorld(3, {});
      const { sinks, counts } = world;
      await world.moreAt(sinks, 1);
      const before = counts();
      await world.moreAt(sinks, 40);
      const shares = counts().map((count, i) => count - (before[i] ?? 0));
      for (const share of shares) expect(share, String(shares)).toBeLessThan(60);

      const [first, second, third] = sinks as [CountingSink, CountingSink, CountingSink];
      second.kill();
      await world.moreAt([first, third], 40);
      expect(second.requests).toBeLessThan(counts()[0] ?? 0);

      // The name forgets the one that died and another that is up, and knows a new one.
      const fourth = await world.startSink(`${world.net}.4`);
      world.names.records.set(name, { a: [world.hosts[0] ?? "", `${world.net}.4`] });
      await world.moreAt([fourth], 1);
      await world.moreAt([first, fourth], 20);
      const left = third.requests;
      await world.moreAt([first, fourth], 40);
      expect(third.requests).toBe(left);
      const { repeated, ...outcome } = await world.finish();
      expect(outcome).toEqual({ missing: [], refusals: {} });
      // What the server that died took without having answered.
      expect(repeated).toBeLessThanOrEqual(consumers);
    });

    it("take turns only when the one before dies, with pick_first", async () => {
      await using world = await startWorld(3, { balancer_name: "pick_first" });
      const { sinks, counts } = world;
      const chosen: number[] = [];
      while (chosen.length < sinks.length) {
        const before = counts();
        const more = () => counts().map((count, i) => count - (before[i] ?? 0));
        const used = await waitFor("calls", () => {
          const at = more().findIndex((calls) => calls >= 40);
          return at < 0 ? undefined : { at };
        });
        // A server that was just ended may still have had some before it.
        for (const [i, calls] of more().entries()) if (i !== used.at) expect(calls).toBeLessThanOrEqual(consumers);
        chosen.push(used.at);
        if (chosen.length < sinks.length) sinks[used.at]?.kill();
      }
      expect(chosen.toSorted()).toEqual([0, 1, 2]);
      const { repeated, ...outcome } = await world.finish();
      expect(outcome).toEqual({ missing: [], refusals: {} });
      expect(repeated).toBeLessThanOrEqual(2 * maxUnderWay);
    });
  },
);
