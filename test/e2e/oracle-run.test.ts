/** `millrace run` against a real otelcol-contrib with the same configuration: both scrape the same pages, and what they write is compared. */

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { faultCases } from "../kit/cases-faults.ts";
import { labelCases } from "../kit/cases-labels.ts";
import { pageCases } from "../kit/cases-pages.ts";
import { compareMetadata } from "../kit/compare.ts";
import { PageExporter } from "../kit/page-exporter.ts";
import { missingPeers } from "../kit/peers.ts";
import { RecordingSink, type SinkPath } from "../kit/recording-sink.ts";
import { brokenHistograms, gaugeHistograms, runCases } from "../kit/run-cases.ts";
import { foldCases } from "../kit/run-cases-folds.ts";
import {
  cleanSlots,
  compareObservations,
  describeDifferences,
  type RunDifference,
  sortOut,
} from "../kit/run-compare.ts";
import { outputFile, type RunReceiver, runPipelines, sinkPath, writeRunConfig } from "../kit/run-config.ts";
import { meantDifferences, meantHeadings, meantRules, unexplainedMetadata } from "../kit/run-meant.ts";
import { underRightKeys } from "../kit/run-meant-keys.ts";
import { observeFile, observeSink, SlotFinder } from "../kit/run-observations.ts";
import { addCase, beginScenario, type OracleCase, slotMs } from "../kit/scrape-oracle.ts";
import { startCollector, startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder } from "../kit/temp.ts";
import { waitFor, waitUntil } from "../kit/wait.ts";

const slots = 16;
const shownDifferences = 60;
/** Part of all slots that a pause of the machine may take. */
const disturbedPart = 0.25;
/** The first ones, which depend on what came before the scenario. */
const uncomparedSlots = 2;
/** Subjects and the first word of their User-Agent. */
const [peerName, ownName] = ["otelcol", "millrace"];
/** Slot from which on all pages have declared all of their families. */
const knownFrom = 4;
const downFrom = 5;
const downTo = 9;

const peers = missingPeers("otelcol");

const downCase: OracleCase = {
  name: "goes_down",
  page: (slot) => ({ body: `# TYPE here counter\nhere_total ${slot}\nhere_total{turn="${slot % 2}"} 1\n` }),
};

describe.skipIf(peers !== undefined)(`run oracle${peers === undefined ? "" : ` (skipped: ${peers})`}`, () => {
  it("writes what otelcol-contrib writes with the same file", { timeout: 150_000 }, async () => {
    using folder = createTempFolder("oracle-run");
    await using sink = await RecordingSink.start();
    await using exporter = await PageExporter.start(slotMs);
    await using downExporter = await PageExporter.start(slotMs);
    const receivers = receiversOf();
    const cases = receivers.flatMap((receiver) => receiver.cases);
    const exporters = new Map(cases.map(({ name }) => [name, name === downCase.name ? downExporter : exporter]));
    for (const one of cases) addCase(exporters.get(one.name) ?? exporter, one);
    const configFor = (subject: string) =>
      writeRunConfig(folder, subject, sink, receivers, (name) => exporters.get(name) ?? exporter);

    await using peer = await startCollector(configFor(peerName));
    await using own = await startMillraceRun(configFor(ownName));
    const scrapers = await waitFor("both to scrape", () => {
      const found = [...new Set(exporter.log.map(({ scraper }) => scraper))];
      return found.length === 2 ? found : undefined;
    });
    const scraperOf = (subject: string) =>
      scrapers.find((scraper) => (scraper === ownName) === (subject === ownName)) ?? "";
    await beginScenario(exporters, scrapers);
    await waitUntil(downExporter.slotStartMs(downCase.name, downFrom));
    await downExporter.close();
    await waitUntil(downExporter.slotStartMs(downCase.name, downTo));
    await downExporter.listen();
    const whole = (subject: string) => sink.path(sinkPath(subject, "whole"));
    await waitFor(
      "the last slot to be written",
      () =>
        [peerName, ownName].every((subject) =>
          cases.every(({ name }) =>
            whole(subject)
              .find({ __name__: "up", case: name })
              .some(({ samples }) => exporter.slotAt(name, samples.at(-1)?.timestampMs ?? 0) > slots),
          ),
        ),
      60_000,
    );
    await peer.stop();
    await own.stop();

    const subjects = [peerName, ownName].map((subject) => ({
      subject,
      sink: whole(subject),
      finder: new SlotFinder({ scraper: scraperOf(subject), cases, exporters, slots }),
    }));
    const clean = new Map(cases.map(({ name }) => [name, cleanSlots(name, slots, subjects)]));
    let differences: RunDifference[] = [];
    const strays: string[] = [];
    const rulesOfKeys = new Set<string>();
    for (const pipeline of runPipelines) {
      const [peerSeries, ownSeries] = subjects.map(({ subject, finder }) =>
        observeSink(sink.path(sinkPath(subject, pipeline)), finder),
      );
      const [peerPoints, ownPoints] = subjects.map(({ subject, finder }) =>
        observeFile(outputFile(folder, subject, pipeline), finder),
      );
      if (!peerSeries || !ownSeries || !peerPoints || !ownPoints) throw new Error("two subjects expected");
      for (const [form, theirs, ours] of [
        ["series", underRightKeys(peerSeries, "series", rulesOfKeys), ownSeries],
        ["points", underRightKeys(peerPoints, "points", rulesOfKeys), ownPoints],
      ] as const) {
        const output = form === "series" ? pipeline : `${pipeline} file`;
        differences = [...differences, ...compareObservations(output, form, theirs, ours, clean)];
        for (const key of theirs.strays) if (!ours.strays.has(key)) strays.push(`${output} only of the peer: ${key}`);
        for (const key of ours.strays) if (!theirs.strays.has(key)) strays.push(`${output} only of our own: ${key}`);
      }
    }
    // Who missed the first page of a target knows less of its families until the next one declares them.
    const knownMs = Math.max(...cases.map(({ name }) => exporters.get(name)?.slotStartMs(name, knownFrom) ?? 0));
    // What one wrote well before the end, the other must have written at some time: their scrapes and the last writes are not at one time.
    const endMs = Math.min(...cases.map(({ name }) => exporters.get(name)?.slotStartMs(name, slots + 1) ?? 0));
    const metadataOf = (subject: string, fromMs: number, toMs: number) =>
      whole(subject).requests.flatMap(({ arrivedMs, message }) =>
        arrivedMs < fromMs || arrivedMs >= toMs ? [] : message.metadata,
      );
    const [peerMetadata, ownMetadata] = [peerName, ownName].map((subject) => ({
      all: metadataOf(subject, 0, Number.POSITIVE_INFINITY),
      known: metadataOf(subject, knownMs, endMs),
    }));
    if (!peerMetadata || !ownMetadata) throw new Error("two subjects expected");
    const metadataLines = [
      ...compareMetadata(peerMetadata.known, ownMetadata.all).filter((line) => line.includes("only of the peer")),
      ...compareMetadata(peerMetadata.all, ownMetadata.known).filter((line) => line.includes("only of our own")),
    ];
    const { remaining, seen } = sortOut(differences, meantDifferences);
    const texts = [
      ...describeDifferences(remaining),
      ...strays,
      ...unexplainedMetadata(metadataLines, seen).filter(
        (line) => isSeries(whole(peerName), familyOf(line)) && isSeries(whole(ownName), familyOf(line)),
      ),
      ...runPipelines.flatMap((pipeline) => sink.path(sinkPath(ownName, pipeline)).faults),
    ];
    expect(texts.slice(0, shownDifferences), `${texts.length} differences`).toEqual([]);
    expect([...seen, ...rulesOfKeys].sort(), "rules that were needed").toEqual([...meantRules].sort());
    const compared = [...clean.values()].flatMap((set) => [...set]).filter((slot) => !slot.startsWith("@")).length;
    expect(compared).toBeGreaterThan((slots - uncomparedSlots) * cases.length * (1 - disturbedPart));
  });
});

/** The family that a line of `compareMetadata` is about. */
const familyOf = (line: string) => line.slice(line.indexOf(": ") + 2).split(" ")[0] ?? "";

/** Whether samples of the family came: the page with it may have been missed by one, of which the series tell. */
function isSeries(sink: SinkPath, family: string): boolean {
  return [...sink.series.values()].some(({ labels }) => {
    const name = labels.get("__name__") ?? "";
    return name === family || name.startsWith(`${family}_`);
  });
}

describe("meant differences of millrace run", () => {
  it.each(meantHeadings)("has the heading in docs/differences.md: %s", (name) => {
    expect(readFileSync(new URL("../../docs/differences.md", import.meta.url), "utf8").split("\n")).toContain(
      `### ${name}`,
    );
  });
});

function receiversOf(): RunReceiver[] {
  const external = new Set(["external_conflict", "exemplars", "plain"]);
  const trimmed = new Set(["units", "suffixes", "histograms", "openmetrics_families"]);
  const all = [
    ...pageCases(),
    ...faultCases(),
    ...labelCases(),
    ...runCases(),
    ...foldCases(),
    brokenHistograms,
    gaugeHistograms,
  ];
  const named = (prefix: string, names: ReadonlySet<string>) =>
    all.filter(({ name }) => names.has(name)).map((one) => ({ ...one, name: `${prefix}_${one.name}` }));
  return [
    { suffix: "", cases: [...all, downCase] },
    {
      suffix: "/external",
      cases: named("external", external),
      global: { external_labels: { cluster: "e2e", replica: "0" } },
    },
    { suffix: "/trimmed", cases: named("trimmed", trimmed), keys: { trim_metric_suffixes: true } },
  ];
}
