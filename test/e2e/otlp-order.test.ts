/** OTLP of three signals through queues in memory to a server that fails at random: nothing that was taken is lost, none overtakes another. */

import { expect, it } from "vitest";
import { stringify } from "yaml";
import { freePort } from "../kit/free-port.ts";
import { NumberedSenders, NumberedSink } from "../kit/numbered-senders.ts";
import { startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";

const sourcesPerSignal = 10;
const itemsOfEach = 60;

it.each([
  ["as they come", { queue_size: 60 }],
  ["in batches that are cut", { queue_size: 60, batch: { flush_timeout: "5ms", min_size: 20, max_size: 30 } }],
  ["with an answer when they were delivered", { enabled: false }],
] as const)("%s: all arrive in order", async (_title, queue) => {
  using folder = createTempFolder("otlp-order");
  await using sink = await NumberedSink.start();
  let requests = 0;
  let isRecovered = false;
  // Two of five requests fail, and now and then the server is away.
  sink.respond = () => {
    const isAway = requests++ % 200 > 160;
    if (isRecovered || (!isAway && Math.random() < 0.6)) return 200;
    return Math.random() < 0.5 ? 503 : 429;
  };
  const endpoint = `127.0.0.1:${await freePort()}`;
  const pipeline = { receivers: ["otlp"], exporters: ["otlp_http"] };
  const config = {
    receivers: { otlp: { protocols: { http: { endpoint } } } },
    exporters: {
      otlp_http: {
        endpoint: sink.url,
        compression: "none",
        retry_on_failure: { initial_interval: "5ms", max_interval: "50ms" },
        sending_queue: { num_consumers: 6, ...queue },
      },
    },
    service: {
      telemetry: { metrics: { level: "none" } },
      pipelines: { metrics: pipeline, traces: pipeline, logs: pipeline },
    },
  };
  await using run = await startMillraceRun(folder.write("config.yaml", stringify(config)));
  const senders = new NumberedSenders(`http://${endpoint}`, sourcesPerSignal, 5);
  const isEnough = () => senders.acknowledged >= senders.sources.length * itemsOfEach;
  await waitFor("enough items", isEnough, 90_000).finally(() => senders.stop());
  isRecovered = true;
  const isAll = () => sink.compare(senders.sources).lost.length === 0;
  await waitFor("what is left", isAll, 30_000).catch(() => undefined);
  const { lost, misplaced } = sink.compare(senders.sources);
  expect({ lost, misplaced }).toEqual({ lost: [], misplaced: [] });
  expect([...senders.refusals.keys()].filter((outcome) => outcome !== "503")).toEqual([]);
  expect(run.isRunning, run.tail()).toBe(true);
});
