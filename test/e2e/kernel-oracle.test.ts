/** `millrace run` with the kernels in WebAssembly and without: both scrape the pages of the oracle, and what they write is the same. */

import { expect, it } from "vitest";
import { pageCases } from "../kit/cases-pages.ts";
import { compareMetadata } from "../kit/compare.ts";
import { namedScraper, PageExporter } from "../kit/page-exporter.ts";
import { startProcess } from "../kit/processes.ts";
import { RecordingSink } from "../kit/recording-sink.ts";
import { brokenHistograms, gaugeHistograms, runCases } from "../kit/run-cases.ts";
import { foldCases } from "../kit/run-cases-folds.ts";
import { cleanSlots, compareObservations, describeDifferences } from "../kit/run-compare.ts";
import { outputFile, type RunReceiver, runPipelines, sinkPath, writeRunConfig } from "../kit/run-config.ts";
import { observeFile, observeSink, SlotFinder } from "../kit/run-observations.ts";
import { addCase, beginScenario, slotMs } from "../kit/scrape-oracle.ts";
import { millrace, plainKernels } from "../kit/subjects.ts";
import { createTempFolder } from "../kit/temp.ts";
import { waitFor, waitUntil } from "../kit/wait.ts";

const slots = 16;
/** The first ones, which depend on what came before the scenario. */
const uncomparedSlots = 2;
/** Part of all slots that a busy machine must leave: what the kernels do otherwise, they do at every page. */
const comparedPart = 0.1;
/** Slot from which on all pages have declared all of their families. */
const knownFrom = 4;
/** Names of the subjects as their requests give them. */
const [fastName, plainName] = ["millrace", "plain"];
const subjectNames = [fastName, plainName];

/** What a line is known as begins with the first page that has it, which a busy machine may take from one of the two. */
const dependOnFirstPage = new Set(["spellings"]);

const all = [...pageCases(), ...runCases(), ...foldCases(), brokenHistograms, gaugeHistograms].filter(
  ({ name }) => !dependOnFirstPage.has(name),
);

/** The receivers of a subject. Faults and labels are compared with either kernel through `millrace agent`. */
function receiversOf(subject: string): RunReceiver[] {
  const named = (prefix: string) =>
    all.map((one) => ({
      ...one,
      name: `${prefix}${one.name}`,
      job: { ...one.job, ...(subject === plainName ? namedScraper(subject) : {}) },
    }));
  const trimmed = new Set(["units", "suffixes", "histograms", "openmetrics_families"].map((name) => `trimmed_${name}`));
  return [
    { suffix: "", cases: named(""), global: { external_labels: { cluster: "e2e", replica: "0" } } },
    {
      suffix: "/trimmed",
      cases: named("trimmed_").filter(({ name }) => trimmed.has(name)),
      keys: { trim_metric_suffixes: true },
    },
  ];
}

it("writes the same with either kernel", { timeout: 120_000 }, async () => {
  using folder = createTempFolder("kernel-oracle");
  await using sink = await RecordingSink.start();
  await using exporter = await PageExporter.start(slotMs);
  const cases = receiversOf(fastName).flatMap((receiver) => receiver.cases);
  for (const one of cases) addCase(exporter, one);
  const exporters = new Map(cases.map(({ name }) => [name, exporter]));
  const start = async (subject: string, env: Readonly<Record<string, string>>) => {
    const file = writeRunConfig(folder, subject, sink, receiversOf(subject), () => exporter);
    const command = { ...millrace(`millrace run, ${subject}`, "run", "--config", file), env };
    return (await startProcess(command, /Everything is ready/)).process;
  };
  await using fast = await start(fastName, {});
  await using plain = await start(plainName, plainKernels);
  expect(fast.output).toMatch(/kernels\W+wasm\b/);
  expect(plain.output).toMatch(/kernels\W+plain \(asked for\)/);

  await waitUntil((await beginScenario(exporters, subjectNames)) + slots * slotMs);
  const whole = (subject: string) => sink.path(sinkPath(subject, "whole"));
  await waitFor(
    "the last slot to be written",
    () =>
      subjectNames.every((subject) =>
        cases.every(({ name }) =>
          whole(subject)
            .find({ __name__: "up", case: name })
            .some(({ samples }) => exporter.slotAt(name, samples.at(-1)?.timestampMs ?? 0) > slots),
        ),
      ),
    60_000,
  );
  await fast.stop();
  await plain.stop();

  const subjects = subjectNames.map((subject) => ({
    subject,
    sink: whole(subject),
    finder: new SlotFinder({ scraper: subject, cases, exporters, slots }),
  }));
  const clean = new Map(cases.map(({ name }) => [name, cleanSlots(name, slots, subjects)]));
  const texts: string[] = [];
  for (const pipeline of runPipelines) {
    const series = subjects.map(({ subject, finder }) => observeSink(sink.path(sinkPath(subject, pipeline)), finder));
    const points = subjects.map(({ subject, finder }) => observeFile(outputFile(folder, subject, pipeline), finder));
    for (const [form, [left, right]] of [["series", series] as const, ["points", points] as const]) {
      if (left === undefined || right === undefined) throw new Error("two subjects expected");
      texts.push(...describeDifferences(compareObservations(`${pipeline} ${form}`, form, left, right, clean)));
      for (const [one, other] of [[left, right] as const, [right, left] as const]) {
        const strays = [...one.strays].filter((key) => !other.strays.has(key));
        texts.push(...strays.map((key) => `${pipeline} ${form} only of one: ${key}`));
      }
    }
    for (const { subject } of subjects) texts.push(...sink.path(sinkPath(subject, pipeline)).faults);
  }
  // Who missed the first page of a target knows less of its families until the next one declares them.
  const knownMs = Math.max(...cases.map(({ name }) => exporter.slotStartMs(name, knownFrom)));
  // What one sent last the other may still have had to send.
  const lastMs = Math.min(...cases.map(({ name }) => exporter.slotStartMs(name, slots - 1)));
  for (const [one, other] of [subjectNames, subjectNames.toReversed()].map((names) => names.map(whole))) {
    if (one === undefined || other === undefined) throw new Error("two subjects expected");
    const late = one.requests
      .filter(({ arrivedMs }) => arrivedMs >= knownMs && arrivedMs < lastMs)
      .flatMap(({ message }) => message.metadata.filter(({ type, help }) => type !== "unknown" || help !== ""));
    texts.push(...compareMetadata(late, other.metadata).filter((text) => text.startsWith("metadata only of the peer")));
  }
  expect(texts.slice(0, 60), `${texts.length} differences`).toEqual([]);
  const compared = [...clean.values()].flatMap((set) => [...set]).filter((slot) => !slot.startsWith("@")).length;
  expect(compared).toBeGreaterThan((slots - uncomparedSlots) * cases.length * comparedPart);
});
