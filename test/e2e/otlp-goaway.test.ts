/** Servers that end their connections by age while calls come: nothing is lost, nothing arrives twice, no client is refused. */

import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { freePort } from "../kit/free-port.ts";
import { Arrivals, GrpcLoad, startCountingSink, Wire } from "../kit/grpc-load.ts";
import { missingPeers } from "../kit/peers.ts";
import { startCollector, startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";

const missing = missingPeers("otelcol");
const noGo = missing === undefined ? "" : ` (skipped: ${missing})`;
/** Connections that follow one another under load. */
const generations = 6;
const age = { max_connection_age: "300ms", max_connection_age_grace: "20s" };

interface Hop {
  readonly grpc: number;
  readonly to: number;
  readonly keepalive?: object;
  readonly exporter?: object;
}

/** OTLP over gRPC in and out, for Millrace and otelcol-contrib. */
function hop({ grpc, to, keepalive = {}, exporter = {} }: Hop): string {
  return stringify({
    receivers: {
      otlp: {
        protocols: { grpc: { endpoint: `127.0.0.1:${grpc}`, keepalive: { server_parameters: keepalive } } },
      },
    },
    exporters: { otlp: { endpoint: `127.0.0.1:${to}`, tls: { insecure: true }, timeout: "60s", ...exporter } },
    service: {
      telemetry: { metrics: { level: "none" } },
      pipelines: { traces: { receivers: ["otlp"], exporters: ["otlp"] } },
    },
  });
}

/** Loads the port until so many connections were made over the wire, and says what became of it. */
async function load(port: number, wire: Wire, arrivals: Arrivals, during?: (client: GrpcLoad) => Promise<void>) {
  const client = new GrpcLoad(port, arrivals);
  const isEnough = () => wire.connections >= generations;
  const end = during?.(client) ?? waitFor("connections to follow one another", isEnough, 60_000);
  await end.finally(() => client.stop());
  const left = () => arrivals.missing(client.acknowledged).length;
  await waitFor("what is left", () => left() === 0).catch(() => undefined);
  expect(client.acknowledged.size).toBeGreaterThan(generations);
  return { lost: left(), repeated: arrivals.repeated, refusals: client.refusals };
}

/** Items that have to be taken between two reloads. */
const itemsBetween = 50;
const whole = { lost: 0, repeated: 0, refusals: {} };

describe("a server behind that ends connections by age", () => {
  it("of @grpc/grpc-js", async () => {
    using folder = createTempFolder("goaway");
    const arrivals = new Arrivals();
    const channel = { "grpc.max_connection_age_ms": 300, "grpc.max_connection_age_grace_ms": 20_000 };
    await using sink = await startCountingSink(arrivals, { channel });
    await using wire = await Wire.start(sink.port);
    const grpc = await freePort();
    await using _run = await startMillraceRun(folder.write("config.yaml", hop({ grpc, to: wire.port })));
    expect(await load(grpc, wire, arrivals)).toEqual(whole);
  });

  it.skipIf(missing !== undefined)(`of Go's gRPC${noGo}`, async () => {
    using folder = createTempFolder("goaway");
    const arrivals = new Arrivals();
    await using sink = await startCountingSink(arrivals);
    const [grpc, between] = [await freePort(), await freePort()];
    const aging = folder.write("aging.yaml", hop({ grpc: between, to: sink.port, keepalive: age }));
    await using _server = await startCollector(aging);
    await using wire = await Wire.start(between);
    await using _run = await startMillraceRun(folder.write("config.yaml", hop({ grpc, to: wire.port })));
    expect(await load(grpc, wire, arrivals)).toEqual(whole);
  });
});

describe("a receiver that ends connections by age", () => {
  it("refuses nothing of a client of @grpc/grpc-js", async () => {
    using folder = createTempFolder("goaway");
    const arrivals = new Arrivals();
    await using sink = await startCountingSink(arrivals);
    const grpc = await freePort();
    await using _run = await startMillraceRun(
      folder.write("config.yaml", hop({ grpc, to: sink.port, keepalive: age })),
    );
    await using wire = await Wire.start(grpc);
    expect(await load(wire.port, wire, arrivals)).toEqual(whole);
  });

  it.skipIf(missing !== undefined)(`refuses nothing of a client of Go's gRPC${noGo}`, async () => {
    using folder = createTempFolder("goaway");
    const arrivals = new Arrivals();
    await using sink = await startCountingSink(arrivals);
    const [grpc, front] = [await freePort(), await freePort()];
    await using run = await startMillraceRun(folder.write("config.yaml", hop({ grpc, to: sink.port, keepalive: age })));
    await using wire = await Wire.start(grpc);
    // It answers when Millrace has, and repeats nothing: what Millrace refuses, the client hears.
    const exporter = { sending_queue: { enabled: false }, retry_on_failure: { enabled: false } };
    await using _client = await startCollector(
      folder.write("front.yaml", hop({ grpc: front, to: wire.port, exporter })),
    );
    expect(await load(front, wire, arrivals)).toEqual(whole);
    expect(run.isRunning, run.tail()).toBe(true);
  });
});

it("a reload that changes the server of a receiver refuses nothing of a client, and loses nothing", async () => {
  using folder = createTempFolder("goaway");
  const arrivals = new Arrivals();
  await using sink = await startCountingSink(arrivals);
  const grpc = await freePort();
  const idle = (hours: number) => hop({ grpc, to: sink.port, keepalive: { max_connection_idle: `${hours}h` } });
  await using run = await startMillraceRun(folder.write("config.yaml", idle(1)));
  await using wire = await Wire.start(grpc);
  const outcome = await load(wire.port, wire, arrivals, async (client) => {
    for (let reload = 1; reload < generations; reload++) {
      const before = client.acknowledged.size;
      await waitFor("traffic", () => client.acknowledged.size >= before + itemsBetween);
      folder.write("config.yaml", idle(1 + reload));
      run.signal("SIGHUP");
      await waitFor("the reload", () => run.lines("Configuration reloaded").length === reload);
      await waitFor("another connection", () => wire.connections > reload);
    }
  });
  expect(outcome).toEqual(whole);
});
