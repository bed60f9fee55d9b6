/** Makes the pull parsers of the Prometheus text format and of OpenMetrics. */

import type { ExpositionParser } from "./exposition-parser.ts";
import { OpenMetricsParser } from "./openmetrics-parser.ts";
import { TextParser } from "./text-parser.ts";

export type { EntryKind, Exemplar, ExpositionParser, ParserState } from "./exposition-parser.ts";

/** A parser of text format 0.0.4 and 1.0.0 at the beginning of `page[0..length)`. */
export function createTextParser(page: Uint8Array, length = page.length): ExpositionParser {
  const parser = new TextParser();
  parser.reset(page, length);
  return parser;
}

/** A parser of OpenMetrics 0.0.1 and 1.0.0 at the beginning of `page[0..length)`. */
export function createOpenMetricsParser(page: Uint8Array, length = page.length): ExpositionParser {
  const parser = new OpenMetricsParser();
  parser.reset(page, length);
  return parser;
}
