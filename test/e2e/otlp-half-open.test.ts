/** Peers over gRPC that are gone without a word: a connection to one ends in the time of the keepalive, and no data is lost. */

import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { expect, it } from "vitest";
import { stringify } from "yaml";
import { freePort } from "../kit/free-port.ts";
import { Arrivals, GrpcLoad, startCountingSink, Wire } from "../kit/grpc-load.ts";
import { otlpMethods } from "../kit/otlp-traffic.ts";
import { startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";

const service = {
  telemetry: { metrics: { level: "none" } },
  pipelines: { traces: { receivers: ["otlp"], exporters: ["otlp_grpc"] } },
};
const insecure = { tls: { insecure: true } };
/** What a loaded machine may take longer. */
const slackMs = 20_000;

it("a client that vanishes, idle or in the middle of a message, is given up; one that lives is not", async () => {
  using folder = createTempFolder("half-open");
  const grpc = await freePort();
  const keepalive = { server_parameters: { time: "1s", timeout: "1s" } };
  const config = {
    receivers: { otlp: { protocols: { grpc: { endpoint: `127.0.0.1:${grpc}`, keepalive } } } },
    exporters: { otlp_grpc: { endpoint: `127.0.0.1:${await freePort()}`, ...insecure } },
    service,
  };
  await using run = await startMillraceRun(folder.write("config.yaml", stringify(config)));
  await using wire = await Wire.start(grpc);
  const open = async (port: number) => {
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    session.on("error", () => undefined);
    await once(session, "remoteSettings");
    return session;
  };
  const [living, idle, busy] = [await open(grpc), await open(wire.port), await open(wire.port)];
  try {
    const call = { ":method": "POST", ":path": otlpMethods.traces, "content-type": "application/grpc", te: "trailers" };
    const stream = busy.request(call, { endStream: false });
    stream.on("error", () => undefined);
    await new Promise((resolve) => stream.write(Buffer.from([0, 0, 16, 0, 0]), resolve));
    // Its answer says that what was written before it has come.
    await new Promise((resolve) => busy.ping(resolve));
    const cutMs = performance.now();
    const gone = wire.cut().then(() => performance.now() - cutMs);
    const tookMs = await waitFor("the end of both connections", () => Promise.race([gone, undefined]), slackMs);
    expect(tookMs).toBeGreaterThan(900);
    // Past the time of the ping that it has to answer, too.
    await new Promise((resolve) => living.ping(resolve));
    expect([living.closed, run.isRunning]).toEqual([false, true]);
  } finally {
    for (const session of [living, idle, busy]) session.destroy();
  }
});

it.each([
  ["while calls wait for their answers", "60s"],
  ["where calls run out of time before a ping is due", "1s"],
])(
  "a server that vanishes %s is given up, and all that was taken arrives over another connection",
  async (_title, timeout) => {
    using folder = createTempFolder("half-open");
    const arrivals = new Arrivals();
    await using sink = await startCountingSink(arrivals);
    await using wire = await Wire.start(sink.port);
    const grpc = await freePort();
    const config = {
      receivers: { otlp: { protocols: { grpc: { endpoint: `127.0.0.1:${grpc}` } } } },
      exporters: {
        otlp_grpc: {
          endpoint: `127.0.0.1:${wire.port}`,
          ...insecure,
          timeout,
          // The least that gRPC allows.
          keepalive: { time: "10s", timeout: "1s" },
          retry_on_failure: { initial_interval: "20ms", max_interval: "100ms" },
        },
      },
      service,
    };
    await using run = await startMillraceRun(folder.write("config.yaml", stringify(config)));
    const load = new GrpcLoad(grpc, arrivals);
    try {
      await waitFor("traffic", () => arrivals.size > 100);
      void wire.cut();
      const before = arrivals.size;
      await waitFor("traffic over another connection", () => arrivals.size > before + 100, 11_000 + slackMs);
    } finally {
      await load.stop();
    }
    await waitFor("what is left", () => arrivals.missing(load.acknowledged).length === 0).catch(() => undefined);
    expect(arrivals.missing(load.acknowledged)).toEqual([]);
    expect(load.refusals).toEqual({});
    expect(wire.connections).toBeGreaterThan(1);
    expect(run.isRunning, run.tail()).toBe(true);
  },
);
