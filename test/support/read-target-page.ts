/** Reads pages with a page cache and describes what it gives in the terms of the naive reader. */

import { createOpenMetricsParser, createTextParser } from "../../src/codec/exposition/parser.ts";
import { Identities, type Label } from "../../src/model/identities.ts";
import { none } from "../../src/model/intern-table.ts";
import { LabelsBuilder } from "../../src/prometheus/relabel/labels-builder.ts";
import { compileRelabel } from "../../src/prometheus/relabel/relabel.ts";
import { LabelSetMarks } from "../../src/prometheus/scrape/label-set-marks.ts";
import { type PageContent, PageError, type PageLimits } from "../../src/prometheus/scrape/page-content.ts";
import { SampleLabels } from "../../src/prometheus/scrape/sample-labels.ts";
import { TargetPage } from "../../src/prometheus/scrape/target-page.ts";
import { createScrapeOrigin } from "../../src/prometheus/translation/scrape-origin.ts";
import { labelKey, type NaiveContent, type NaiveFailure, type NaiveRow } from "./naive-scrape.ts";

const target: readonly Label[] = [
  ["instance", "host:9100"],
  ["job", "test"],
];

const dropRule = {
  sourceLabels: ["__name__"],
  separator: ";",
  regex: "drop_.*",
  modulus: 0n,
  targetLabel: "",
  replacement: "$1",
  action: "drop",
} as const;

export interface PageReader {
  readonly target: readonly Label[];
  readonly page: TargetPage;
  readonly identities: Identities;
  /** Reads a page out of a buffer that is used for every page, as a scrape does. */
  read(page: Buffer, isOpenMetrics: boolean): NaiveContent | NaiveFailure;
}

export interface PageReaderOptions {
  readonly identities?: Identities;
  readonly limits?: Partial<PageLimits>;
  readonly ignoresTimestamps?: boolean;
  /** Without the rule that drops some metrics, as most jobs are: labels are then found from their bytes. */
  readonly hasNoRules?: boolean;
  /** Called before each step of a page that differs, as the pages of other targets are read there. */
  readonly beforeStep?: () => void;
}

export function createPageReader(options: PageReaderOptions = {}): PageReader {
  const { identities = new Identities() } = options;
  const labels = new SampleLabels(identities, new LabelsBuilder(), {
    targetLabels: target,
    honorLabels: false,
    relabel: options.hasNoRules === true ? undefined : compileRelabel([dropRule], "utf8"),
    limits: { labels: 0, nameLength: 0, valueLength: 0 },
    externalLabels: [],
    isValidMetricName: (name) => name !== "",
    isValidLabelName: (name) => name !== "",
  });
  const page = new TargetPage({
    identities,
    labels,
    marks: new LabelSetMarks(),
    limits: { lineBytes: 1_000_000, series: 1_000_000, labels: 500, samples: 0, ...options.limits },
    origin: createScrapeOrigin({
      lane: 0,
      identities,
      targetLabels: target,
      discoveredLabels: [],
      scopeName: "test",
      scopeVersion: "1",
    }),
    ignoresTimestamps: options.ignoresTimestamps ?? false,
  });
  const buffer = Buffer.alloc(1 << 20, 0x39);
  const textParser = createTextParser(buffer, 0);
  const openMetricsParser = createOpenMetricsParser(buffer, 0);
  const readInSteps = (begun: ReturnType<TargetPage["begin"]>): PageContent => {
    if ("layout" in begun) return begun;
    for (;;) {
      options.beforeStep?.();
      const step = begun.next();
      if (step.done) return step.value;
    }
  };
  return {
    target,
    page,
    identities,
    read(bytes, isOpenMetrics) {
      bytes.copy(buffer);
      const parser = isOpenMetrics ? openMetricsParser : textParser;
      parser.reset(buffer, bytes.length);
      try {
        return describeContent(identities, readInSteps(page.begin(buffer, bytes.length, parser, isOpenMetrics)));
      } catch (error) {
        if (error instanceof PageError) return describeFailure(identities, error);
        throw error;
      }
    },
  };
}

function describeContent(identities: Identities, content: PageContent): NaiveContent {
  const { layout, values, timestamps, exemplars, samples, samplesAfterRelabel, seriesAdded, duplicates } = content;
  const rows: NaiveRow[] = Array.from(layout.labels ?? [], (set, row) => {
    const time = timestamps?.[row] ?? Number.NaN;
    const family = layout.families[row] as number;
    return {
      labels: labelKey(identities.labels(set)),
      value: values[row] as number,
      timestampMs: Number.isNaN(time) ? undefined : time,
      family: family === none ? "" : JSON.stringify(identities.families.get(family)),
      exemplars: exemplars
        .filter((exemplar) => exemplar.row === row)
        .map((exemplar) =>
          JSON.stringify({ labels: exemplar.labels, value: exemplar.value, timestampMs: exemplar.timestampMs }),
        ),
    };
  });
  return { rows, samples, samplesAfterRelabel, seriesAdded, duplicates };
}

function describeFailure(identities: Identities, error: PageError): NaiveFailure {
  const seen = Array.from(error.seen, (set) => labelKey(identities.labels(set)));
  const { samples, samplesAfterRelabel, seriesAdded } = error;
  return { failed: true, samples, samplesAfterRelabel, seriesAdded, seen };
}

/** Rows in an order of their own: a page whose lines only moved keeps its layout. */
export function sortRows(content: NaiveContent | NaiveFailure): NaiveContent | NaiveFailure {
  if ("failed" in content) return content;
  const key = ({ labels, timestampMs, value }: NaiveRow) => `${labels} ${timestampMs} ${value}`;
  return { ...content, rows: content.rows.sort((a, b) => (key(a) < key(b) ? -1 : 1)) };
}
