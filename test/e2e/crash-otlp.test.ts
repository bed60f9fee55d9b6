/** `millrace run` with its exporter's queues on disk, killed again and again: every item that was acknowledged arrives, in order. */

import { expect, it } from "vitest";
import { stringify } from "yaml";
import { freePort } from "../kit/free-port.ts";
import { NumberedSenders, NumberedSink } from "../kit/numbered-senders.ts";
import { startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder } from "../kit/temp.ts";
import { waitFor, waitUntil } from "../kit/wait.ts";

/** More by hand: `CRASH_KILLS=2000 npx vitest run --project e2e test/e2e/crash-otlp.test.ts --testTimeout 7200000`. */
const kills = Number(process.env["CRASH_KILLS"] ?? 100);
const numConsumers = 4;
const maxItems = 40;
const sourcesPerSignal = 10;

it(`loses nothing in ${kills} kills, keeps the order, repeats no more than was under way`, {
  timeout: 60_000 + kills * 10_000,
}, async () => {
  using folder = createTempFolder("crash-otlp");
  await using sink = await NumberedSink.start();
  let requests = 0;
  let isDraining = false;
  // A third of the requests fail, and now and then the server is away.
  sink.respond = () => (!isDraining && (Math.random() < 0.33 || requests++ % 200 > 160) ? 503 : 200);
  const endpoint = `127.0.0.1:${await freePort()}`;
  const pipeline = { receivers: ["otlp"], exporters: ["otlp_http"] };
  const config = folder.write(
    "config.yaml",
    stringify({
      extensions: { file_storage: { directory: folder.file("queues"), create_directory: true } },
      receivers: { otlp: { protocols: { http: { endpoint } } } },
      exporters: {
        otlp_http: {
          endpoint: sink.url,
          compression: "none",
          retry_on_failure: { initial_interval: "10ms", max_interval: "50ms" },
          sending_queue: {
            storage: "file_storage",
            num_consumers: numConsumers,
            batch: { flush_timeout: "5ms", min_size: maxItems, max_size: maxItems },
          },
        },
      },
      service: {
        extensions: ["file_storage"],
        telemetry: { metrics: { level: "none" } },
        pipelines: { metrics: pipeline, traces: pipeline, logs: pipeline },
      },
    }),
  );
  const senders = new NumberedSenders(`http://${endpoint}`, sourcesPerSignal, 10);
  try {
    for (let kill = 0; kill < kills; kill++) {
      await using millrace = await startMillraceRun(config);
      const before = senders.acknowledged;
      await waitFor("some items", () => senders.acknowledged > before + sourcesPerSignal);
      await waitUntil(Date.now() + Math.random() * 150);
      process.kill(millrace.pid, "SIGKILL");
      await millrace.ended;
    }
  } finally {
    await senders.stop();
  }
  isDraining = true;
  {
    await using millrace = await startMillraceRun(config);
    await waitFor("what is left", () => sink.compare(senders.sources).lost.length === 0, 20_000).catch(() => {});
    expect(await millrace.stop()).toEqual({ code: 0, signal: null });
  }
  const { lost, misplaced, repeated } = sink.compare(senders.sources);
  process.stdout.write(
    `${kills} kills, ${senders.acknowledged} items acknowledged: ${lost.length} lost, ${misplaced.length} out of order, ${repeated} repeated\n`,
  );
  expect({ lost, misplaced }).toEqual({ lost: [], misplaced: [] });
  expect(repeated).toBeLessThanOrEqual(kills * numConsumers * maxItems * 3);
});
