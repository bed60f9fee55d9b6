/** Log records as text: a line per record, and all of the data. */

import type { LogRecordData, ResourceLogsData, ScopeLogsData } from "../../codec/otlp/logs-data.ts";
import { attributeText, attributeTypeName } from "../../codec/otlp-json/attribute-text.ts";
import { noAttributes } from "../../model/attributes.ts";
import {
  attributeLines,
  attributePairs,
  hex,
  resourceLines,
  scopeDetails,
  spaced,
  timeText,
} from "./attribute-lines.ts";

/** What verbosity basic counts. */
export function countLogs(resources: readonly ResourceLogsData[]): Record<string, number> {
  let records = 0;
  for (const { scopeLogs } of resources) for (const scope of scopeLogs) records += scope.logRecords.length;
  return { "resource logs": resources.length, "log records": records };
}

/** The lines of verbosity normal, each with its end, as the Collector writes them. */
export function listLogs(resources: readonly ResourceLogsData[]): string {
  const lines: string[] = [];
  for (const [i, { resource, schemaUrl, scopeLogs }] of resources.entries()) {
    const schema = schemaUrl === "" ? "" : ` [${schemaUrl}]`;
    lines.push(`ResourceLog #${i}${schema}${spaced(attributePairs(resource?.attributes ?? noAttributes))}`);
    for (const { scope, schemaUrl: scopeSchema, logRecords } of scopeLogs) {
      const details = scopeDetails(scope?.name ?? "", scope?.version ?? "", scopeSchema);
      // The number is the resource's, in the Collector as well.
      lines.push(`ScopeLog #${i}${details}${spaced(attributePairs(scope?.attributes ?? noAttributes))}`);
      for (const { body, attributes } of logRecords) {
        lines.push(`${attributeText(body)} ${attributePairs(attributes).join(" ")}`);
      }
    }
  }
  return lines.map((line) => `${line}\n`).join("");
}

/** The lines of verbosity detailed. */
export function describeLogs(resources: readonly ResourceLogsData[]): string {
  const lines: string[] = [];
  for (const [i, { resource, schemaUrl, scopeLogs }] of resources.entries()) {
    lines.push(`ResourceLog #${i}`, `Resource SchemaURL: ${schemaUrl}`);
    lines.push(...resourceLines(resource));
    for (const [j, scope] of scopeLogs.entries()) describeScope(lines, j, scope);
  }
  return lines.map((line) => `${line}\n`).join("");
}

function describeScope(lines: string[], index: number, { scope, schemaUrl, logRecords }: ScopeLogsData): void {
  lines.push(`ScopeLogs #${index}`, `ScopeLogs SchemaURL: ${schemaUrl}`);
  lines.push(`InstrumentationScope ${scope?.name ?? ""} ${scope?.version ?? ""}`);
  lines.push(...attributeLines("InstrumentationScope attributes", scope?.attributes ?? noAttributes));
  for (const [i, record] of logRecords.entries()) describeRecord(lines, i, record);
}

const severityBases = ["Trace", "Debug", "Info", "Warn", "Error", "Fatal"];

/** `Info` for 9, `Info2` for 10; empty for what has no name. */
function severityName(number: number): string {
  if (number === 0) return "Unspecified";
  const base = number < 1 ? undefined : severityBases[Math.floor((number - 1) / 4)];
  const step = ((number - 1) % 4) + 1;
  return base === undefined ? "" : `${base}${step === 1 ? "" : step}`;
}

function describeRecord(lines: string[], index: number, record: LogRecordData): void {
  lines.push(
    `LogRecord #${index}`,
    `ObservedTimestamp: ${timeText(record.observedTimeUnixNano)}`,
    `Timestamp: ${timeText(record.timeUnixNano)}`,
    `SeverityText: ${record.severityText}`,
    `SeverityNumber: ${severityName(record.severityNumber)}(${record.severityNumber})`,
  );
  if (record.eventName !== "") lines.push(`EventName: ${record.eventName}`);
  lines.push(
    `Body: ${attributeTypeName(record.body)}(${attributeText(record.body)})`,
    ...attributeLines("Attributes", record.attributes),
    `Trace ID: ${hex(record.traceId)}`,
    `Span ID: ${hex(record.spanId)}`,
    `Flags: ${record.flags}`,
  );
}
