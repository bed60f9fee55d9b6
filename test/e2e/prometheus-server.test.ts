/** Millrace in front of a real Prometheus server: what was served can be queried, also when the server is killed under load. */

import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { freePort } from "../kit/free-port.ts";
import { PageExporter } from "../kit/page-exporter.ts";
import { missingPeers } from "../kit/peers.ts";
import { accept, numberOf, RecordingSink, type SinkPath } from "../kit/recording-sink.ts";
import { staleBits } from "../kit/remote-write-message.ts";
import { CountedPages, countedIntervalMs, countedSubjects } from "../kit/run-counted-pages.ts";
import { type RunningSubject, startPrometheusServer } from "../kit/subjects.ts";
import { createTempFolder, type TempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";

const outageMs = 4000;
const scrapesBefore = 6;
const scrapesAfter = 6;
const peers = missingPeers("prometheus");

interface QueriedSeries {
  readonly metric: Readonly<Record<string, string>>;
  /** Seconds since 1970, and the value as a text. */
  readonly values: readonly (readonly [number, string])[];
}

describe.skipIf(peers !== undefined)(`a Prometheus server behind Millrace${note(peers)}`, () => {
  describe.each(countedSubjects)("millrace $name", (subject) => {
    it("has every sample that was served, and ends what stopped at its next scrape", async () => {
      using folder = createTempFolder("server");
      await using exporter = await PageExporter.start(countedIntervalMs);
      await using stopping = await PageExporter.start(countedIntervalMs);
      const pages = new CountedPages(exporter, 8, 50);
      const ending = new CountedPages(stopping, 2, 5, "ends");
      await using server = await startServer(folder);
      await using millrace = await subject.start(folder, [...pages.jobs(), ...ending.jobs()], writeUrl(server));
      await waitFor("scrapes", () => allServed([pages, ending], scrapesBefore));
      const closedMs = Date.now();
      await stopping.close();
      await waitFor("failed scrapes", async () => {
        const downs = await Promise.all(ending.names.map((name) => dump(server, `up{job="${name}"} == 0`, "5m")));
        return downs.every((series) => (series[0]?.values.length ?? 0) >= 3);
      });
      await millrace.stop();

      expect(await unlikeServed(server, pages)).toEqual([]);
      expect(await unlikeServed(server, ending)).toEqual([]);
      for (const name of ending.names) {
        const ups = (await dump(server, `up{job="${name}"}`))[0]?.values ?? [];
        const failedSeconds = ups.find(([, value]) => value === "0")?.[0] ?? Number.NaN;
        expect(failedSeconds * 1000 - closedMs, "time of the next scrape").toBeLessThanOrEqual(countedIntervalMs + 5);
        expect(await instant(server, `counted{job="${name}"}`, failedSeconds - 0.001)).toHaveLength(5);
        expect(await instant(server, `counted{job="${name}"}`, failedSeconds)).toEqual([]);
      }
    });

    it("loses nothing while the server is killed and comes back", async () => {
      using folder = createTempFolder("kill");
      await using exporter = await PageExporter.start(countedIntervalMs);
      const pages = new CountedPages(exporter, 12, 200);
      const port = await freePort();
      const first = await startServer(folder, port);
      await using millrace = await subject.start(folder, pages.jobs(), writeUrl(first));
      await waitFor("scrapes", () => allServed([pages], scrapesBefore));
      first.process.signal("SIGKILL");
      await first.process.ended;
      await delay(outageMs);
      await using second = await startServer(folder, port);
      const atReturn = Math.max(...pages.names.map((name) => pages.served(name)));
      await waitFor("scrapes after the outage", () => allServed([pages], atReturn + scrapesAfter));
      await millrace.stop();
      expect(await unlikeServed(second, pages)).toEqual([]);
    });
  });
});

describe.each(countedSubjects)(
  "an endpoint that breaks all connections and comes back, behind millrace $name",
  (subject) => {
    it("gets everything, in order, and twice only what was in flight", async () => {
      using folder = createTempFolder("breaks");
      await using sink = await RecordingSink.start();
      await using exporter = await PageExporter.start(countedIntervalMs);
      const pages = new CountedPages(exporter, 12, 200);
      const path = sink.path("/write");
      /** Requests that were taken in the moment of a break: their sender cannot know. */
      const inFlight = new Set<number>();
      let breaks = 0;
      path.respond = ({ index, arrivedMs }) => {
        if (breaks < 3 && pages.servedSamples() > (breaks + 1) * 8000) {
          breaks++;
          for (const request of path.requests) if (arrivedMs - request.arrivedMs < 20) inFlight.add(request.index);
          inFlight.add(index);
          const back = async () => {
            await sink.close();
            await delay(1000);
            await sink.listen();
          };
          void back();
        }
        return accept;
      };
      await using millrace = await subject.start(folder, pages.jobs(), sink.url("/write"));
      await waitFor("three breaks", () => breaks === 3);
      const atLast = Math.max(...pages.names.map((name) => pages.served(name)));
      await waitFor("scrapes after the breaks", () => allServed([pages], atLast + scrapesAfter));
      await millrace.stop();
      expect(path.faults).toEqual([]);
      expect(unlikeArrived(path, pages, inFlight)).toEqual([]);
    });
  },
);

function note(absent: string | undefined): string {
  return absent === undefined ? "" : ` (skipped: ${absent})`;
}

function startServer(folder: TempFolder, port?: number): Promise<RunningSubject> {
  return startPrometheusServer(folder.file("data"), folder.write("server.yml", "{}\n"), port);
}

function writeUrl({ url }: RunningSubject): string {
  return `${url}/api/v1/write`;
}

function allServed(all: readonly CountedPages[], count: number): boolean {
  return all.every((pages) => pages.names.every((name) => pages.served(name) >= count));
}

async function query(server: RunningSubject, expression: string, timeSeconds?: number): Promise<QueriedSeries[]> {
  const parameters = new URLSearchParams({ query: expression });
  if (timeSeconds !== undefined) parameters.set("time", timeSeconds.toFixed(3));
  const response = await fetch(`${server.url}/api/v1/query?${parameters}`);
  const { data } = (await response.json()) as { data: { result: QueriedSeries[] } };
  return data.result;
}

/** What an instant query sees at a time. */
function instant(server: RunningSubject, selector: string, timeSeconds: number): Promise<QueriedSeries[]> {
  return query(server, selector, timeSeconds);
}

/** All samples of the last minutes, as they were stored; stale markers are not among them. */
function dump(server: RunningSubject, selector: string, range = "10m"): Promise<QueriedSeries[]> {
  return query(
    server,
    selector.includes("==") ? `(${selector})[${range}:${countedIntervalMs}ms]` : `${selector}[${range}]`,
  );
}

/** Series of the server whose samples are not the numbers of all scrapes, in the order of time. */
async function unlikeServed(server: RunningSubject, pages: CountedPages): Promise<string[]> {
  const unlike: string[] = [];
  for (const name of pages.names) {
    const all = Array.from({ length: pages.served(name) }, (_, n) => n);
    const counted = await dump(server, `counted{job="${name}"}`);
    if (counted.length !== pages.seriesPerTarget) unlike.push(`${name}: ${counted.length} series`);
    const sometimes = await dump(server, `sometimes{job="${name}"}`);
    if (sometimes.length !== 1) unlike.push(`${name}: ${sometimes.length} series that are there sometimes`);
    for (const { metric, values } of counted) unlike.push(...unlikeList(`${name} ${metric["series"]}`, values, all));
    for (const { values } of sometimes)
      unlike.push(
        ...unlikeList(
          `${name} sometimes`,
          values,
          all.filter((n) => n % 3 === 0),
        ),
      );
  }
  return unlike;
}

function unlikeList(title: string, values: QueriedSeries["values"], expected: readonly number[]): string[] {
  const got = values.map(([, value]) => value).join(" ");
  return got === expected.join(" ") ? [] : [`${title}: served ${expected.join(" ")}; got ${got}`];
}

/** Series at the sink that are not all that was served, in order, with repetitions of requests in flight only. */
function unlikeArrived(path: SinkPath, pages: CountedPages, inFlight: ReadonlySet<number>): string[] {
  const unlike: string[] = [];
  for (const name of pages.names) {
    const all = Array.from({ length: pages.served(name) }, (_, n) => n);
    const series = path.find({ __name__: "counted", job: name });
    if (series.length !== pages.seriesPerTarget) unlike.push(`${name}: ${series.length} series`);
    for (const { key, samples } of series) {
      const live = samples.filter(({ bits }) => bits !== staleBits);
      const firsts: number[] = [];
      for (const { bits, request } of live) {
        const value = numberOf(bits);
        if (!firsts.includes(value)) firsts.push(value);
        else if (!live.some((other) => other.bits === bits && other.request < request && inFlight.has(other.request)))
          unlike.push(`${key}: ${value} again in request ${request}`);
      }
      if (firsts.join(" ") !== all.join(" ")) unlike.push(`${key}: served ${all.join(" ")}; got ${firsts.join(" ")}`);
    }
  }
  return unlike;
}
