/** Queues on disk of a whole agent: order over restarts and reloads of what is scraped, and queues that nobody uses any more. */

import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { stringify } from "yaml";
import { accept, RecordingSink, type SinkPath } from "../../../test/kit/recording-sink.ts";
import { createTempFolder, type TempFolder } from "../../../test/kit/temp.ts";
import { waitFor } from "../../../test/kit/wait.ts";
import { serveHttp } from "../../../test/support/http-servers.ts";
import { createTestLogger } from "../../testing/test-context.ts";
import { systemClock } from "../clock.ts";
import { Agent } from "./agent.ts";

const unused = "No remote_write entry uses this queue";

let folder: TempFolder;
let sink: RecordingSink;
beforeEach(async () => {
  folder = createTempFolder("agent-disk");
  sink = await RecordingSink.start();
});
afterEach(async () => {
  await sink.close();
  folder[Symbol.dispose]();
});

/** A target whose page counts how often it was asked for. */
async function startTarget() {
  const target = { served: 0, address: "" };
  const server = await serveHttp((_request, response) => {
    response.writeHead(200, { "content-type": "text/plain; version=0.0.4" }).end(`n ${++target.served}\n`);
  });
  target.address = `127.0.0.1:${server.port}`;
  return target;
}

interface Setup {
  readonly target?: { readonly address: string };
  readonly interval?: string;
  readonly entries: readonly object[];
}

function writeConfig({ target, interval = "50ms", entries }: Setup): string {
  const scrape_configs =
    target === undefined
      ? []
      : [
          {
            job_name: "j",
            scrape_interval: interval,
            scrape_timeout: interval,
            static_configs: [{ targets: [target.address] }],
          },
        ];
  return folder.write("prometheus.yml", stringify({ remote_write: entries, scrape_configs }));
}

/** A process: ends with `stop`, or with the test. */
async function startAgent(setup: Setup, flushDeadlineMs = 5000) {
  const created = createAgent(setup, flushDeadlineMs);
  await created.agent.start();
  return created;
}

function createAgent(setup: Setup, flushDeadlineMs = 5000) {
  const log = createTestLogger();
  const agent = new Agent(
    {
      env: {},
      configFile: writeConfig(setup),
      listenAddress: "127.0.0.1:0",
      storagePath: folder.file("data"),
      minFreeBytes: 0,
      flushDeadlineMs,
      maxQueuedBytes: 1 << 24,
      enableLifecycle: false,
      logLevel: "info",
      logFormat: "logfmt",
      externalUrl: "",
      maxBodyBytes: 1 << 24,
      maxSeriesPerTarget: 1000,
      maxLineBytes: 1 << 16,
      maxLabels: 100,
    },
    log,
    systemClock,
  );
  onTestFinished(() => agent.shutdown());
  const reload = async (next: Setup) => {
    writeConfig(next);
    expect(await agent.reload()).toBe(true);
  };
  const unusedQueues = () => log.entries.filter(({ message }) => message === unused).map(({ fields }) => fields);
  return { agent, log, reload, unusedQueues, stop: () => agent.shutdown() };
}

const entry = (path: string, keys: object = {}) => ({
  url: sink.url(path),
  metadata_config: { send: false },
  queue_config: { batch_send_deadline: "5ms", min_backoff: "10ms", max_backoff: "20ms", max_samples_per_send: 3 },
  ...keys,
});

/** Series with a sample that is not behind the one before. */
const misplaced = (path: SinkPath) =>
  [...path.series.values()]
    .filter(({ samples }) => samples.some(({ timestampMs }, i) => timestampMs <= (samples[i - 1]?.timestampMs ?? 0)))
    .map(({ key }) => key);

const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1);

test("a target with another interval sends its backlog first", async () => {
  const target = await startTarget();
  const path = sink.path("/write");
  path.respond = () => ({ kind: "reply", status: 503 });
  const before = await startAgent({ target, entries: [entry("/write")] });
  await waitFor("a backlog", () => target.served >= 15);
  await before.stop();
  const taken = target.served;

  path.respond = () => ({ kind: "reply", status: 204, afterMs: 20 });
  await startAgent({ target, interval: "70ms", entries: [entry("/write")] });
  await waitFor("what was scraped since", () => path.values({ __name__: "n" }).some((n) => n > taken + 2), 10_000);
  const values = path.values({ __name__: "n" });
  // A scrape that was under way at the end may be left out.
  expect(values.filter((n) => n !== taken)).toEqual(upTo(Math.max(...values)).filter((n) => n !== taken));
  expect(misplaced(path)).toEqual([]);
});

test("a reload that is asked for during the start comes after it", async () => {
  const target = await startTarget();
  const { agent, log } = createAgent({ target, entries: [entry("/write")] });
  const started = agent.start();
  const reloaded = agent.reload();
  await started;
  expect(await reloaded).toBe(true);
  expect(log.entries.filter(({ level }) => level !== "info")).toEqual([]);
  expect(log.entries.map(({ message }) => message)).toEqual([
    "Opened the queue on disk",
    "Server is ready to receive web requests.",
    "Completed loading of configuration file",
  ]);
});

test("a reload with a URL that nothing can be sent to is refused before anything is changed", async () => {
  const { agent, log } = await startAgent({ entries: [entry("/write")] });
  const endpoints = agent.endpoints;
  writeConfig({ entries: [entry("/write", { url: "/api/v1/push" })] });
  expect(await agent.reload()).toBe(false);
  expect(agent.endpoints).toBe(endpoints);
  expect(log.entries.at(-1)?.fields["err"]).toMatch(/^remote_write\[0\]::url: expected an http or https URL \(/);
});

test("a reload after a start that failed does nothing", async () => {
  const { agent } = createAgent({ entries: [{ url: "http://h", urll: "x" }] });
  const started = agent.start();
  const reloaded = agent.reload();
  await expect(started).rejects.toThrow("urll");
  expect(await reloaded).toBe(false);
});

test("two reloads in a row during an outage neither stop the delivery nor repeat what arrived", async () => {
  const target = await startTarget();
  const path = sink.path("/write");
  path.respond = () => ({ kind: "reply", status: 503 });
  const { reload } = await startAgent({ target, entries: [entry("/write")] });
  await waitFor("attempts", () => target.served >= 5 && path.requests.length > 2);
  await reload({ target, entries: [entry("/write", { remote_timeout: "29s" })] });
  await reload({ target, entries: [entry("/write", { remote_timeout: "28s" })] });
  const taken = target.served;
  path.respond = () => accept;
  await waitFor("what was scraped since", () => path.values({ __name__: "n" }).some((n) => n > taken + 5), 10_000);
  const values = path.values({ __name__: "n" });
  expect(values).toEqual(upTo(values.length));
  expect(misplaced(path)).toEqual([]);
});

test("an entry that comes back while its queue is still sent goes on behind that", async () => {
  const target = await startTarget();
  const path = sink.path("/write");
  path.respond = () => ({ kind: "reply", status: 204, afterMs: 60 });
  const { reload } = await startAgent({ target, entries: [entry("/write")] });
  await waitFor("a backlog", () => target.served >= 8);
  await reload({ target, entries: [] });
  await reload({ target, entries: [entry("/write")] });
  const taken = target.served;
  path.respond = () => ({ kind: "reply", status: 204, afterMs: 10 });
  await waitFor("what was scraped since", () => path.values({ __name__: "n" }).some((n) => n > taken + 5), 10_000);
  expect(misplaced(path)).toEqual([]);
  expect(path.values({ __name__: "n" }).slice(0, 8)).toEqual(upTo(8));
});

describe("queues on disk that no entry uses", () => {
  test("are named once when there is something in them", async () => {
    const target = await startTarget();
    sink.path("/gone").respond = () => ({ kind: "reply", status: 503 });
    const before = await startAgent({ target, entries: [entry("/gone"), entry("/emptied")] });
    await waitFor("a backlog", () => target.served >= 3 && sink.path("/emptied").acceptedSamples > 0);
    await before.stop();
    expect(before.unusedQueues()).toEqual([]);

    const after = await startAgent({ entries: [entry("/other")] });
    await after.reload({ entries: [entry("/another")] });
    const [directory] = before.log.entries
      .filter(({ message }) => message === "Opened the queue on disk")
      .map(({ fields }) => fields["directory"]);
    expect(after.unusedQueues()).toEqual([
      {
        component: "storage",
        directory,
        records: expect.any(Number),
        bytes: expect.any(Number),
        hint: expect.stringContaining(`millrace queue replay ${directory} --to URL`),
      },
    ]);
    expect(after.unusedQueues()[0]?.["records"]).toBeGreaterThan(0);
  });

  test("are named when a reload takes their entry away before all is sent", async () => {
    const target = await startTarget();
    sink.path("/gone").respond = () => ({ kind: "reply", status: 503 });
    const { reload, unusedQueues } = await startAgent({ target, entries: [entry("/gone")] }, 200);
    await waitFor("a backlog", () => target.served >= 3);
    await reload({ entries: [] });
    await waitFor("the warning", () => unusedQueues().length > 0);
    expect(unusedQueues()).toHaveLength(1);
  });
});
