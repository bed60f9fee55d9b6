/** `millrace agent`, with either kernel and either queue, against a real Prometheus 3 agent: all scrape the same pages, and what they write is compared. */

import { rmSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { faultCases } from "../kit/cases-faults.ts";
import { labelCases, writeRelabelRules } from "../kit/cases-labels.ts";
import { pageCases } from "../kit/cases-pages.ts";
import { compareMetadata, compareRequests, compareScrapes, groupDifferences, type Written } from "../kit/compare.ts";
import { freePort } from "../kit/free-port.ts";
import { namedScraper, PageExporter } from "../kit/page-exporter.ts";
import { missingPeers, peerPath } from "../kit/peers.ts";
import { startProcess, TestProcess } from "../kit/processes.ts";
import { RecordingSink, type SinkPath } from "../kit/recording-sink.ts";
import { staleBits } from "../kit/remote-write-message.ts";
import { addCase, beginScenario, type OracleCase, slotMs } from "../kit/scrape-oracle.ts";
import { agentCommand, agentReady, plainKernels, startMillraceAgent, startPrometheusAgent } from "../kit/subjects.ts";
import { createTempFolder } from "../kit/temp.ts";
import { waitFor, waitUntil } from "../kit/wait.ts";

const slots = 24;
const shownDifferences = 100;
/** Part of all slots that a pause of the machine may take. */
const disturbedPart = 0.05;
/** The second Millrace runs without WebAssembly; the first has its queue on disk, the second in memory. */
const scrapers = ["prometheus", "millrace", "plain"];

const peers = missingPeers("prometheus");
const exporterAbsent = missingPeers("node_exporter");

/** A target whose port closes for some slots. */
const downCase: OracleCase = {
  name: "goes_down",
  page: (slot) => ({ body: `here ${slot}\nhere{turn="${slot % 2}"} 1\n` }),
};
const downFrom = 6;
const downTo = 11;
/** A target that its file names no more after this slot. */
const removedCase: OracleCase = { name: "removed", page: (slot) => ({ body: `before_removal ${slot}\n` }) };
const removedAfter = 10;

describe.skipIf(peers !== undefined)(`agent oracle${note(peers)}`, () => {
  it("writes what a Prometheus agent writes", { timeout: 200_000 }, async () => {
    using folder = createTempFolder("oracle-agent");
    await using sink = await RecordingSink.start();
    await using exporter = await PageExporter.start(slotMs);
    await using downExporter = await PageExporter.start(slotMs);
    const cases = [...pageCases(), ...faultCases(), ...labelCases()];
    for (const one of [...cases, removedCase]) addCase(exporter, one);
    addCase(downExporter, downCase);
    const exporters = new Map([...cases, removedCase].map(({ name }) => [name, exporter]));
    exporters.set(downCase.name, downExporter);

    const sdFile = folder.write("removed.json", targetFile(exporter, removedCase.name));
    const configFor = (subject: string) =>
      folder.write(
        `${subject}.yml`,
        stringify({
          global: {
            scrape_interval: `${slotMs}ms`,
            scrape_timeout: "900ms",
            external_labels: { cluster: "e2e", replica: "0" },
          },
          remote_write: [
            {
              url: sink.url(`/${subject}`),
              send_exemplars: true,
              write_relabel_configs: writeRelabelRules,
              queue_config: { batch_send_deadline: "200ms" },
              metadata_config: { send_interval: "1s" },
            },
          ],
          scrape_configs: [
            ...cases.map((one) => jobOf(one, exporter)),
            jobOf(downCase, downExporter),
            {
              job_name: removedCase.name,
              metrics_path: `/${removedCase.name}`,
              file_sd_configs: [{ files: [sdFile] }],
            },
          ].map((job) => (subject === "plain" ? { ...job, ...namedScraper(subject) } : job)),
        }),
      );
    await using prometheus = await startPrometheusAgent(folder, configFor("prometheus"));
    const onDisk = `--storage.agent.path=${folder.file("millrace-data")}`;
    await using millrace = await startMillraceAgent(folder, configFor("millrace"), onDisk);
    const plainCommand = { ...agentCommand(folder, configFor("plain")), env: plainKernels };
    await using plain = (await startProcess(plainCommand, agentReady)).process;
    expect(millrace.process.output).toMatch(/kernels=wasm\b/);
    expect(plain.output).toMatch(/kernels="?plain \(asked for\)/);

    await beginScenario(exporters, scrapers);
    const atSlot = (name: string, slot: number) =>
      waitUntil(exporters.get(name)?.slotStartMs(name, slot) ?? Number.NaN);
    await atSlot(downCase.name, downFrom);
    await downExporter.close();
    await atSlot(removedCase.name, removedAfter);
    folder.write("removed.json", "[]");
    await atSlot(downCase.name, downTo);
    await downExporter.listen();
    const written: Written[] = scrapers.map((scraper) => ({ scraper, sink: sink.path(`/${scraper}`) }));
    await waitFor(
      "the last slot to be written",
      () =>
        written.every(({ sink: path }) =>
          cases.every(({ name }) =>
            path
              .find({ __name__: "up", case: name })
              .some(({ samples }) => exporter.slotAt(name, samples.at(-1)?.timestampMs ?? 0) > slots),
          ),
        ),
      60_000,
    );
    await prometheus.process.stop();
    await millrace.process.stop();
    await plain.stop();
    rmSync(sdFile);

    const [peer, ...owns] = written as [Written, ...Written[]];
    for (const own of owns) {
      const comparison = { cases: [...cases, downCase], exporters, peer, own, slots };
      const report = compareScrapes(comparison);
      const beforeRemoval = compareScrapes({ cases: [removedCase], exporters, peer, own, slots: removedAfter - 1 });
      const differences = groupDifferences([
        ...report.differences,
        ...beforeRemoval.differences,
        ...own.sink.faults.map((fault) => `fault of our own: ${fault}`),
        ...compareRequests(comparison),
        ...compareMetadata(peer.sink.metadata, own.sink.metadata),
        ...endOf(removedCase, peer, own),
      ]).map((line) => line.replace(/,?(cluster|instance|job|replica)="[^"]*"/g, ""));
      const { disturbed } = report;
      expect(differences.slice(0, shownDifferences), `${differences.length} differences of ${own.scraper}`).toEqual([]);
      expect(disturbed.length, disturbed.join("\n")).toBeLessThan(disturbedPart * slots * cases.length);
      expect(report.compared).toBeGreaterThan(slots * cases.length * (1 - disturbedPart));
    }
  });

  it.skipIf(exporterAbsent !== undefined)(
    `writes the series of a live node exporter${note(exporterAbsent)}`,
    async () => {
      using folder = createTempFolder("oracle-node");
      await using sink = await RecordingSink.start();
      const address = `127.0.0.1:${await freePort()}`;
      await using _exporter = new TestProcess({
        title: "node exporter",
        file: peerPath("node_exporter"),
        args: [`--web.listen-address=${address}`],
      });
      await waitFor("node exporter to answer", async () => (await fetch(`http://${address}/metrics`)).ok);
      const configFor = (subject: string) =>
        folder.write(
          `${subject}.yml`,
          stringify({
            global: { scrape_interval: "1s" },
            remote_write: [{ url: sink.url(`/${subject}`), queue_config: { batch_send_deadline: "200ms" } }],
            scrape_configs: [{ job_name: "node", static_configs: [{ targets: [address] }] }],
          }),
        );
      await using _prometheus = await startPrometheusAgent(folder, configFor("prometheus"));
      await using _millrace = await startMillraceAgent(folder, configFor("millrace"));
      const [peer, own] = ["prometheus", "millrace"].map((name) => sink.path(`/${name}`)) as [SinkPath, SinkPath];
      const enoughScrapes = 4;
      await waitFor("some scrapes by both", () =>
        [peer, own].every((path) => (path.find({ __name__: "up" })[0]?.samples.length ?? 0) >= enoughScrapes),
      );
      const differing = () => [
        ...[...peer.series.keys()].filter((key) => !own.series.has(key)).map((key) => `only of the peer: ${key}`),
        ...[...own.series.keys()].filter((key) => !peer.series.has(key)).map((key) => `only of our own: ${key}`),
      ];
      // A live page may gain series: those that one of the two saw first are seen by the other a moment later.
      await waitFor("the same series", () => differing().length === 0, 10_000).catch(() => undefined);
      expect(differing()).toEqual([]);
      expect(own.series.size).toBeGreaterThan(200);
      expect(own.faults).toEqual([]);
    },
  );
});

function note(absent: string | undefined): string {
  return absent === undefined ? "" : ` (skipped: ${absent})`;
}

function targetFile(exporter: PageExporter, name: string): string {
  return JSON.stringify([{ targets: [exporter.address], labels: { case: name } }]);
}

function jobOf({ name, job = {}, labels = {} }: OracleCase, exporter: PageExporter): Record<string, unknown> {
  return {
    job_name: name,
    metrics_path: `/${name}`,
    ...job,
    static_configs: [{ targets: [exporter.address], labels: { ...labels, case: name } }],
  };
}

/** Both end all series of a removed target, once. */
function endOf({ name }: OracleCase, ...written: Written[]): string[] {
  return written.flatMap(({ scraper, sink }) =>
    sink
      .find({ case: name })
      .filter(({ labels }) => labels.get("__name__") !== "warm")
      .filter(({ samples }) => samples.findIndex(({ bits }) => bits === staleBits) !== samples.length - 1)
      .map(({ key }) => `${scraper}: ${key} does not end with its one stale marker`),
  );
}
