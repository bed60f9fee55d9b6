/** Remote-write servers that misbehave, behind `millrace agent`: what each loses, and that nobody else does. */

import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { CountingTargets } from "../kit/counting-targets.ts";
import { readOwnMetrics } from "../kit/own-metrics.ts";
import { PageExporter } from "../kit/page-exporter.ts";
import { accept, RecordingSink, type SinkAnswer, type SinkPath, type SinkRequest } from "../kit/recording-sink.ts";
import { startMillraceAgent } from "../kit/subjects.ts";
import { createTempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";

const prefix = "prometheus_remote_storage_";
const global = { scrape_interval: "500ms", scrape_timeout: "500ms" };
const fastQueue = { batch_send_deadline: "20ms", min_backoff: "10ms", max_backoff: "100ms" };

interface EndpointCase {
  readonly name: string;
  readonly respond: (request: SinkRequest) => SinkAnswer;
  readonly entry?: Readonly<Record<string, unknown>>;
  readonly queue?: Readonly<Record<string, unknown>>;
  /** Where the samples arrive; the endpoint itself when left out. */
  readonly arrivesAt?: string;
  /** Requests that are answered so are lost, and no others are. */
  readonly losesStatus?: number;
  /** Samples are sent again. */
  readonly retries?: boolean;
}

const reply = (status: number, body = "", headers: Record<string, string> = {}): SinkAnswer => ({
  kind: "reply",
  status,
  body,
  headers,
});
const redirect = (status: number): EndpointCase => ({
  name: `redirects_${status}`,
  respond: () => reply(status, "", { location: `/moved_${status}` }),
  arrivesAt: `moved_${status}`,
});
const isNth =
  (n: number) =>
  ({ index }: SinkRequest): boolean =>
    index % n === n - 1;
const carriesSamples = ({ samples }: SinkRequest) => samples > 0;

const cases: readonly EndpointCase[] = [
  { name: "fine", respond: () => accept },
  { name: "nonsense", respond: () => reply(200, "<html>\u0000 nonsense", { "content-type": "text/html" }) },
  {
    name: "hangs",
    respond: (request) => (isNth(7)(request) ? { kind: "hang" } : accept),
    entry: { remote_timeout: "300ms" },
    retries: true,
  },
  { name: "closes", respond: (request) => (isNth(5)(request) ? { kind: "reset" } : accept), retries: true },
  { name: "fails_first", respond: ({ index }) => (index < 10 ? reply(500, "not yet") : accept), retries: true },
  {
    name: "refuses_every_tenth",
    respond: (request) => (isNth(10)(request) ? reply(400, "poisoned") : accept),
    losesStatus: 400,
  },
  ...[301, 302, 307, 308].map(redirect),
  { name: "redirects_303", respond: () => reply(303, "", { location: "/moved_303" }), losesStatus: 303 },
  { name: "redirects_to_itself", respond: () => reply(307, "", { location: "/redirects_to_itself" }), retries: true },
  {
    name: "throttles",
    respond: ({ index }) => (index === 3 ? reply(429, "slower", { "retry-after": "1" }) : accept),
    retries: true,
  },
  {
    name: "throttles_and_loses",
    respond: (request) => (isNth(4)(request) ? reply(429, "too many", { "retry-after": "1" }) : accept),
    queue: { retry_on_http_429: false },
    losesStatus: 429,
  },
];
/** Never takes anything, so it may keep what it has until the process ends. */
const neverTakes = new Set(["redirects_to_itself"]);

describe("bad endpoint of an agent", () => {
  it("loses only what a server refuses for good, counted, and keeps the order", async () => {
    using folder = createTempFolder("bad-endpoint");
    await using sink = await RecordingSink.start();
    await using exporter = await PageExporter.start(1000);
    const targets = new CountingTargets(exporter, ["a", "b", "c", "d"]);
    for (const { name, respond } of cases) sink.path(`/${name}`).respond = respond;
    const config = {
      global,
      remote_write: cases.map(({ name, entry, queue }) => ({
        name,
        url: sink.url(`/${name}`),
        ...entry,
        queue_config: { ...fastQueue, ...queue },
        metadata_config: { send: false },
      })),
      scrape_configs: targets.jobs(exporter),
    };
    await using agent = await startMillraceAgent(
      folder,
      folder.write("prometheus.yml", stringify(config)),
      "--storage.remote.flush-deadline=3s",
    );
    const path = (name: string) => sink.path(`/${name}`);
    const answered = (name: string, status: number) =>
      path(name).requests.filter(({ answer }) => answer.kind === "reply" && answer.status === status);
    await waitFor(
      "every server to have misbehaved",
      () =>
        targets.allServed(10) &&
        cases.every(({ losesStatus, name }) => losesStatus === undefined || answered(name, losesStatus).length >= 2) &&
        path("fails_first").acceptedSamples > 0,
    );
    const before = await readOwnMetrics(agent.url);
    const shown = cases.map(({ name, losesStatus }) => ({
      name,
      retried: before.sum(`${prefix}samples_retried_total`, { remote_name: name }) > 0,
      // Each request was counted by the time its answer came, but for the ones of this moment.
      failed: before.sum(`${prefix}samples_failed_total`, { remote_name: name }) > 0,
      dropped: before.sum(`${prefix}samples_dropped_total`, { remote_name: name, reason: "rejected" }) > 0,
      logged: agent.process.lines("samples dropped", `remote_name=${name} `, `HTTP status ${losesStatus}`).length > 0,
    }));
    expect(shown).toEqual(
      cases.map(({ name, losesStatus, retries = false }) => ({
        name,
        retried: retries,
        failed: losesStatus !== undefined,
        dropped: losesStatus !== undefined,
        logged: losesStatus !== undefined,
      })),
    );
    expect(await agent.process.stop()).toEqual({ code: 0, signal: null });

    const outcomes = cases
      .filter(({ name }) => !neverTakes.has(name))
      .map(({ name, arrivesAt = name, losesStatus }) => {
        const arrived = path(arrivesAt);
        const refused = losesStatus === undefined ? [] : answered(name, losesStatus);
        return {
          name,
          lost: targets.lost(arrived).filter((one) => !valuesIn(refused).has(one)),
          misplaced: targets.misplaced(arrived),
          repeatedRefusals: refused.filter(({ headers }) => headers["retry-attempt"] !== undefined).length,
          withoutBody: [...path(name).requests, ...arrived.requests].filter((one) => !carriesSamples(one)).length,
          methods: [...new Set(arrived.requests.map(({ method }) => method))],
          faults: arrived.faults,
        };
      });
    expect(outcomes).toEqual(
      outcomes.map(({ name }) => ({
        name,
        lost: [],
        misplaced: [],
        repeatedRefusals: 0,
        withoutBody: 0,
        methods: ["POST"],
        faults: [],
      })),
    );
    expect(path("moved_303").requests).toEqual([]);
    expect(waitsAfter(path("throttles"), 429)).toEqual([]);
  });

  it("loses nothing while the server is down for a while", async () => {
    using folder = createTempFolder("endpoint-down");
    await using sink = await RecordingSink.start();
    await using exporter = await PageExporter.start(1000);
    const targets = new CountingTargets(exporter, ["a", "b", "c"]);
    const config = {
      global,
      remote_write: [{ url: sink.url("/write"), queue_config: fastQueue }],
      scrape_configs: targets.jobs(exporter),
    };
    await using agent = await startMillraceAgent(folder, folder.write("prometheus.yml", stringify(config)));
    await waitFor("the first scrapes", () => targets.allServed(2) && sink.path("/write").acceptedSamples > 0);
    await sink.close();
    const servedBefore = Math.max(...targets.names.map((name) => targets.served(name)));
    await waitFor("scrapes that cannot be delivered", () => targets.allServed(servedBefore + 5));
    expect((await readOwnMetrics(agent.url)).sum(`${prefix}samples_pending`)).toBeGreaterThan(0);
    await sink.listen();
    await waitFor("the queue to be empty", async () => {
      const metrics = await readOwnMetrics(agent.url);
      return metrics.sum(`${prefix}samples_pending`) + metrics.sum(`${prefix}shards`) === 0;
    });
    const metrics = await readOwnMetrics(agent.url);
    expect(await agent.process.stop()).toEqual({ code: 0, signal: null });
    expect(targets.lost(sink.path("/write"))).toEqual([]);
    expect(targets.misplaced(sink.path("/write"))).toEqual([]);
    expect(metrics.sum(`${prefix}samples_failed_total`)).toBe(0);
    expect(agent.process.lines("Failed to send batch, retrying").length).toBeGreaterThan(0);
  });

  it("counts what is over the bound of the queue of a dead server, beside one that goes on", async () => {
    using folder = createTempFolder("queue-full");
    await using sink = await RecordingSink.start();
    await using exporter = await PageExporter.start(1000);
    const targets = new CountingTargets(exporter, ["a", "b", "c"]);
    const size = 5000;
    let page = 0;
    exporter.add("big", () => {
      page += 1;
      return { body: Array.from({ length: size }, (_, i) => `big{i="${i}"} ${page * size + i}\n`).join("") };
    });
    sink.path("/dead").respond = () => reply(503, "dead");
    const config = {
      global,
      remote_write: ["dead", "alive"].map((name) => ({
        name,
        url: sink.url(`/${name}`),
        queue_config: fastQueue,
      })),
      scrape_configs: [
        ...targets.jobs(exporter),
        { job_name: "big", metrics_path: "/big", static_configs: [{ targets: [exporter.address] }] },
      ],
    };
    await using agent = await startMillraceAgent(
      folder,
      folder.write("prometheus.yml", stringify(config)),
      "--queue.max-size=200KiB",
      "--storage.remote.flush-deadline=500ms",
    );
    const queueFull = { remote_name: "dead", reason: "queue_full" };
    const read = () => readOwnMetrics(agent.url);
    await waitFor("the queue to be full", async () => {
      return (await read()).sum(`${prefix}samples_dropped_total`, queueFull) > 0;
    });
    const residentBytes = agent.process.residentBytes();
    const pageBefore = page;
    await waitFor("more pages", () => page >= pageBefore + 8);
    const metrics = await read();
    // Nothing leaves for the dead server, so each further page is dropped there as a whole.
    expect(metrics.sum(`${prefix}samples_dropped_total`, queueFull)).toBeGreaterThan(4 * size);
    expect(metrics.sum("millrace_remote_write_queue_bytes", { remote_name: "dead" })).toBeLessThanOrEqual(200 * 1024);
    expect(metrics.sum(`${prefix}samples_dropped_total`, { ...queueFull, remote_name: "alive" })).toBe(0);
    expect(agent.process.residentBytes() - residentBytes).toBeLessThan(64 * 1024 * 1024);
    expect(await agent.process.stop()).toEqual({ code: 0, signal: null });
    expect(targets.lost(sink.path("/alive"))).toEqual([]);
    expect(targets.misplaced(sink.path("/alive"))).toEqual([]);
    expect(sink.path("/alive").find({ __name__: "big" })).toHaveLength(size);
    expect(sink.path("/dead").acceptedSamples).toBe(0);
  });
});

/** `name value` of all counting samples in the requests. */
function valuesIn(requests: readonly SinkRequest[]): Set<string> {
  const view = new DataView(new ArrayBuffer(8));
  const values = new Set<string>();
  for (const { message } of requests) {
    for (const { labels, samples } of message.series) {
      const name = labels.find((label) => label.name === "counting")?.value;
      if (name === undefined) continue;
      for (const { bits } of samples) {
        view.setBigUint64(0, BigInt(`0x${bits}`));
        values.add(`${name} ${view.getFloat64(0)}`);
      }
    }
  }
  return values;
}

/** Waits before the repeats of requests that got this answer with `Retry-After: 1` and were repeated sooner. */
function waitsAfter(path: SinkPath, status: number): number[] {
  const refused = path.requests.filter(({ answer }) => answer.kind === "reply" && answer.status === status);
  return refused.flatMap((one) => {
    const wanted = [...valuesIn([one])];
    const repeat = path.requests.find((later) => {
      if (later.index <= one.index || later.headers["retry-attempt"] !== "1") return false;
      const values = valuesIn([later]);
      return wanted.every((value) => values.has(value));
    });
    const waitedMs = repeat === undefined ? 0 : repeat.arrivedMs - one.arrivedMs;
    return waitedMs >= 990 ? [] : [waitedMs];
  });
}
