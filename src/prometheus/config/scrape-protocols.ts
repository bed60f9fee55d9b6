/** Decodes `scrape_protocols` and tells about the protocols and histogram keys that do not act yet. */

import { noticeOnce } from "./decode-context.ts";
import type { SectionReader } from "./section-reader.ts";
import type { ScrapeProtocol } from "./types.ts";

/** Every name that Prometheus knows. */
export const SCRAPE_PROTOCOLS: readonly ScrapeProtocol[] = [
  "OpenMetricsText0.0.1",
  "OpenMetricsText1.0.0",
  "OpenMetricsText2.0.0",
  "PrometheusProto",
  "PrometheusText0.0.4",
  "PrometheusText1.0.0",
];

/** What a job asks for where nothing is configured. */
export const DEFAULT_SCRAPE_PROTOCOLS: readonly ScrapeProtocol[] = [
  "OpenMetricsText1.0.0",
  "OpenMetricsText0.0.1",
  "PrometheusText1.0.0",
  "PrometheusText0.0.4",
];

const LATER_PROTOCOLS: readonly ScrapeProtocol[] = ["PrometheusProto", "OpenMetricsText2.0.0"];

/** The list of a section; undefined where the key is absent or written as nothing. */
export function decodeScrapeProtocols(section: SectionReader): ScrapeProtocol[] | undefined {
  const key = "scrape_protocols";
  if (!section.hasValue(key)) return undefined;
  const node = section.node(key);
  const names = section.strings(key);
  if (node?.kind === "list" && names.length === 0) section.fail(key, "expected at least one protocol");
  const folded = names.map((name) => name.toLowerCase());
  const repeated = names.find((_, index) => folded.indexOf(folded[index] ?? "") !== index);
  if (repeated !== undefined) section.fail(key, `the protocol ${JSON.stringify(repeated)} is listed twice`);
  return names.map((name) => decodeScrapeProtocol(section, key, name)).filter((protocol) => protocol !== undefined);
}

/** A protocol by its name; an unknown one is reported. */
export function decodeScrapeProtocol(section: SectionReader, key: string, name: string): ScrapeProtocol | undefined {
  const protocol = SCRAPE_PROTOCOLS.find((known) => known === name);
  if (protocol === undefined) {
    section.fail(key, `expected one of ${SCRAPE_PROTOCOLS.join(", ")}, found ${JSON.stringify(name)}`);
  } else if (LATER_PROTOCOLS.includes(protocol)) {
    noticeOnce(
      section.context,
      protocol,
      section.pathOf(key),
      `${protocol} is accepted but not asked for yet`,
      section.node(key)?.at,
    );
  }
  return protocol;
}

const HISTOGRAM_SWITCHES = [
  "scrape_native_histograms",
  "convert_classic_histograms_to_nhcb",
  "always_scrape_classic_histograms",
] as const;
const HISTOGRAM_NUMBERS = ["native_histogram_bucket_limit", "native_histogram_min_bucket_factor"] as const;

/** Native histograms come later: their keys are accepted, and a key that would change something is named once. */
export function noticeNativeHistogramKeys(section: SectionReader): void {
  const on = HISTOGRAM_SWITCHES.filter((key) => section.optionalBoolean(key) === true);
  const set = HISTOGRAM_NUMBERS.filter((key) => section.hasValue(key));
  for (const key of [...on, ...set]) {
    const message = "native histograms are not built yet: the key is accepted and has no effect";
    noticeOnce(section.context, key, section.pathOf(key), message, section.keyAt(key));
  }
}
