/** The OpenMetrics conformance cases: our parsers give the verdict and the samples of Prometheus' own parsers. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { formatGoFloat } from "../../src/codec/exposition/format-float.ts";
import { createOpenMetricsParser, createTextParser, type ExpositionParser } from "../../src/codec/exposition/parser.ts";
import { DecodeError } from "../../src/model/errors.ts";

const repoRoot = new URL("../../", import.meta.url);
const conformance = new URL("../shared/conformance/", repoRoot);
const isAbsent = !existsSync(conformance);

interface ExpectedSample {
  readonly labels: Record<string, string>;
  readonly value: string;
  readonly timestampMs?: number;
  readonly exemplar?: {
    readonly labels: Record<string, string>;
    readonly value: string;
    readonly timestampMs?: number;
  };
}

interface Verdict {
  readonly openmetrics: boolean;
  readonly text: boolean;
  /** Whether the written specification accepts the page. */
  readonly specification: boolean;
  readonly samples?: readonly ExpectedSample[];
}

/** Pages that the written specification refuses and Prometheus, and so Millrace, accepts; `_0-3` stands for four cases. */
const acceptedAgainstSpecification = [
  "bad_clashing_names_0-2",
  "bad_counter_values_0-19",
  "bad_exemplar_complex_chars",
  "bad_exemplars_6",
  "bad_exemplars_on_unallowed_metric_types_0-2",
  "bad_exemplars_on_unallowed_samples_0-3",
  "bad_grouping_or_ordering_0",
  "bad_grouping_or_ordering_2-10",
  "bad_histograms_0-3",
  "bad_histograms_6-14",
  "bad_info_and_stateset_values_0-1",
  "bad_invalid_labels_2",
  "bad_invalid_labels_5",
  "bad_metadata_in_wrong_place_0-2",
  "bad_missing_or_extra_commas_2",
  "bad_missing_or_invalid_labels_for_a_type_0-7",
  "bad_repeated_metadata_0-1",
  "bad_repeated_metadata_3",
  "bad_stateset_info_values_0-3",
  "bad_unit_6-7",
].flatMap((name) => {
  const [, stem, first, last] = /^(.*_)(\d+)-(\d+)$/.exec(name) ?? [];
  if (stem === undefined) return [name];
  return Array.from({ length: Number(last) - Number(first) + 1 }, (_, i) => `${stem}${Number(first) + i}`);
});

/** The samples of a page, or undefined when it is invalid. */
function readSamples(parser: ExpositionParser): ExpectedSample[] | undefined {
  const samples: ExpectedSample[] = [];
  try {
    for (let kind = parser.next(); kind !== "end"; kind = parser.next()) {
      if (kind !== "series") continue;
      const { value, timestampMs, exemplar } = parser;
      samples.push({
        labels: Object.fromEntries(parser.labels()),
        value: formatGoFloat(value, "g"),
        ...(timestampMs === undefined ? {} : { timestampMs }),
        ...(exemplar === undefined ? {} : { exemplar: writeExemplar(exemplar) }),
      });
    }
  } catch (caught) {
    if (!(caught instanceof DecodeError)) throw caught;
    return undefined;
  }
  return samples;
}

function writeExemplar(exemplar: NonNullable<ExpositionParser["exemplar"]>): ExpectedSample["exemplar"] {
  const { labels, value, timestampMs } = exemplar;
  return {
    labels: Object.fromEntries(labels),
    value: formatGoFloat(value, "g"),
    ...(timestampMs === undefined ? {} : { timestampMs }),
  };
}

describe.skipIf(isAbsent)("OpenMetrics conformance cases (skipped where ../shared/conformance is absent)", () => {
  const verdicts: Record<string, Verdict> = isAbsent
    ? {}
    : JSON.parse(readFileSync(new URL("openmetrics-verdicts.json", conformance), "utf8"));
  const cases = isAbsent ? [] : readdirSync(new URL("openmetrics/", conformance)).sort();

  test("every case has a verdict", () => {
    expect(cases).toHaveLength(211);
    expect(Object.keys(verdicts).sort()).toEqual(cases);
  });

  test.each(cases)("%s is read as Prometheus reads it", (name) => {
    const page = readFileSync(new URL(`openmetrics/${name}/metrics`, conformance));
    const verdict = verdicts[name];
    const samples = readSamples(createOpenMetricsParser(page));
    expect(samples !== undefined, "accepted as OpenMetrics").toBe(verdict?.openmetrics);
    expect(samples).toEqual(verdict?.openmetrics === true ? (verdict.samples ?? []) : undefined);
    expect(readSamples(createTextParser(page)) !== undefined, "accepted as text").toBe(verdict?.text);
  });

  test("differs from the written specification only in the listed cases", () => {
    const differing = cases.filter((name) => verdicts[name]?.openmetrics !== verdicts[name]?.specification);
    expect(differing).toEqual(acceptedAgainstSpecification.toSorted());
  });
});
