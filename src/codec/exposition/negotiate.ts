/** Agrees on an exposition format over HTTP: what we ask for, and what an answer or a request says. */

import type { EscapingScheme } from "./escape-name.ts";
import { parseMediaType } from "./media-type.ts";

export type { EscapingScheme } from "./escape-name.ts";

export type ExpositionFormat = "text" | "openmetrics";

/** The names of `scrape_protocols` and `fallback_scrape_protocol`. */
export type ScrapeProtocol =
  | "PrometheusProto"
  | "PrometheusText0.0.4"
  | "PrometheusText1.0.0"
  | "OpenMetricsText0.0.1"
  | "OpenMetricsText1.0.0"
  | "OpenMetricsText2.0.0";

interface ProtocolRules {
  /** Undefined where the format is not read. */
  readonly format: ExpositionFormat | undefined;
  readonly mediaType: string;
  readonly takesEscaping: boolean;
}

const protocols: Readonly<Record<ScrapeProtocol, ProtocolRules>> = {
  PrometheusProto: { format: undefined, mediaType: "application/vnd.google.protobuf", takesEscaping: false },
  "PrometheusText0.0.4": { format: "text", mediaType: "text/plain;version=0.0.4", takesEscaping: false },
  "PrometheusText1.0.0": { format: "text", mediaType: "text/plain;version=1.0.0", takesEscaping: true },
  "OpenMetricsText0.0.1": {
    format: "openmetrics",
    mediaType: "application/openmetrics-text;version=0.0.1",
    takesEscaping: false,
  },
  "OpenMetricsText1.0.0": {
    format: "openmetrics",
    mediaType: "application/openmetrics-text;version=1.0.0",
    takesEscaping: true,
  },
  "OpenMetricsText2.0.0": { format: undefined, mediaType: "application/openmetrics-text", takesEscaping: false },
};

/** In tenths; as Prometheus counts, one more than the protocols it knows. */
const firstWeight = 7;

/** The Accept header of a scrape. Protocols that are not read yet (protobuf, OpenMetrics 2.0) are not asked for. */
export function acceptHeader(wanted: readonly ScrapeProtocol[], escaping: EscapingScheme): string {
  let weight = firstWeight;
  const items: string[] = [];
  for (const name of wanted) {
    const { format, mediaType, takesEscaping } = protocols[name];
    if (format === undefined) continue;
    items.push(`${mediaType}${takesEscaping ? `;escaping=${escaping}` : ""};q=0.${weight--}`);
  }
  items.push(`*/*;q=0.${weight}`);
  return items.join(",");
}

/**
 * The format of a page by its Content-Type header, or by the fallback where the header is missing, malformed or of an
 * unknown type. As in Prometheus, a page of no known format is an error, never a guess.
 */
export function formatOfContentType(
  contentType: string | undefined,
  fallback: ScrapeProtocol | undefined,
): ExpositionFormat | { readonly error: string } {
  const header = contentType ?? "";
  if (header === "") return formatOfFallback(fallback, "the answer has no Content-Type");
  const media = parseMediaType(header);
  if (typeof media === "string") return formatOfFallback(fallback, `${media} in Content-Type ${quoted(header)}`);
  if (media.type === "text/plain") return "text";
  if (media.type === "application/openmetrics-text" && media.params.get("version") !== "2.0.0") return "openmetrics";
  if (media.type === protocols.PrometheusProto.mediaType) {
    return { error: "the answer is in the protobuf format, which is not read yet" };
  }
  return formatOfFallback(fallback, `unsupported Content-Type ${quoted(header)}`);
}

function formatOfFallback(
  fallback: ScrapeProtocol | undefined,
  problem: string,
): ExpositionFormat | { readonly error: string } {
  if (fallback === undefined) return { error: `${problem}, and no fallback_scrape_protocol is set` };
  return protocols[fallback].format ?? { error: `${problem}, and ${fallback} is not read yet` };
}

const maxQuotedLength = 100;

function quoted(header: string): string {
  return JSON.stringify(header.length > maxQuotedLength ? `${header.slice(0, maxQuotedLength)}...` : header);
}

/** The format for a page of our own that suits an Accept header best; text where it is missing or names neither. */
export function formatOfAccept(accept: string | undefined): ExpositionFormat {
  let best: ExpositionFormat = "text";
  let bestWeight = 0;
  for (const item of (accept ?? "").split(",")) {
    const media = parseMediaType(item.trim());
    if (typeof media === "string") continue;
    const weight = Number(media.params.get("q") ?? "1");
    const isOpenMetrics = media.type === "application/openmetrics-text" && media.params.get("version") !== "2.0.0";
    if (!isOpenMetrics && !["text/plain", "text/*", "*/*"].includes(media.type)) continue;
    // NaN is never greater.
    if (!(weight > bestWeight)) continue;
    best = isOpenMetrics ? "openmetrics" : "text";
    bestWeight = weight;
  }
  return best;
}
