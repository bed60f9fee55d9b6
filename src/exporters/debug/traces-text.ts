/** Spans as text: a line per span, and all of the data. */

import type {
  ResourceSpansData,
  ScopeSpansData,
  SpanData,
  SpanEventData,
  SpanLinkData,
} from "../../codec/otlp/traces-data.ts";
import { noAttributes } from "../../model/attributes.ts";
import {
  attributeLines,
  attributePairs,
  hex,
  indent,
  resourceLines,
  scopeDetails,
  spaced,
  timeText,
} from "./attribute-lines.ts";

/** What verbosity basic counts. */
export function countTraces(resources: readonly ResourceSpansData[]): Record<string, number> {
  let spans = 0;
  for (const { scopeSpans } of resources) for (const scope of scopeSpans) spans += scope.spans.length;
  return { "resource spans": resources.length, spans };
}

/** The lines of verbosity normal, each with its end, as the Collector writes them. */
export function listTraces(resources: readonly ResourceSpansData[]): string {
  const lines: string[] = [];
  for (const [i, { resource, schemaUrl, scopeSpans }] of resources.entries()) {
    const schema = schemaUrl === "" ? "" : ` [${schemaUrl}]`;
    lines.push(`ResourceTraces #${i}${schema}${spaced(attributePairs(resource?.attributes ?? noAttributes))}`);
    for (const { scope, schemaUrl: scopeSchema, spans } of scopeSpans) {
      const details = scopeDetails(scope?.name ?? "", scope?.version ?? "", scopeSchema);
      // The number is the resource's, in the Collector as well.
      lines.push(`ScopeTraces #${i}${details}${spaced(attributePairs(scope?.attributes ?? noAttributes))}`);
      for (const { name, traceId, spanId, attributes } of spans) {
        lines.push(`${name} ${hex(traceId)} ${hex(spanId)}${spaced(attributePairs(attributes))}`);
      }
    }
  }
  return lines.map((line) => `${line}\n`).join("");
}

/** The lines of verbosity detailed. */
export function describeTraces(resources: readonly ResourceSpansData[]): string {
  const lines: string[] = [];
  for (const [i, { resource, schemaUrl, scopeSpans }] of resources.entries()) {
    lines.push(`ResourceSpans #${i}`, `Resource SchemaURL: ${schemaUrl}`);
    lines.push(...resourceLines(resource));
    for (const [j, scope] of scopeSpans.entries()) describeScope(lines, j, scope);
  }
  return lines.map((line) => `${line}\n`).join("");
}

function describeScope(lines: string[], index: number, { scope, schemaUrl, spans }: ScopeSpansData): void {
  lines.push(`ScopeSpans #${index}`, `ScopeSpans SchemaURL: ${schemaUrl}`);
  lines.push(`InstrumentationScope ${scope?.name ?? ""} ${scope?.version ?? ""}`);
  lines.push(...attributeLines("InstrumentationScope attributes", scope?.attributes ?? noAttributes));
  for (const [i, span] of spans.entries()) describeSpan(lines, i, span);
}

const kinds = ["Unspecified", "Internal", "Server", "Client", "Producer", "Consumer"];
const statusCodes = ["Unset", "Ok", "Error"];

function describeSpan(lines: string[], index: number, span: SpanData): void {
  lines.push(
    `Span #${index}`,
    `    Trace ID       : ${hex(span.traceId)}`,
    `    Parent ID      : ${hex(span.parentSpanId)}`,
    `    ID             : ${hex(span.spanId)}`,
    `    Name           : ${span.name}`,
    `    Kind           : ${kinds[span.kind] ?? ""}`,
  );
  if (span.traceState !== "") lines.push(`    TraceState     : ${span.traceState}`);
  lines.push(
    `    Start time     : ${timeText(span.startTimeUnixNano)}`,
    `    End time       : ${timeText(span.endTimeUnixNano)}`,
    `    Status code    : ${statusCodes[span.status?.code ?? 0] ?? ""}`,
    `    Status message : ${span.status?.message ?? ""}`,
    `    DroppedAttributesCount: ${span.droppedAttributesCount}`,
    `    DroppedEventsCount: ${span.droppedEventsCount}`,
    `    DroppedLinksCount: ${span.droppedLinksCount}`,
    ...attributeLines("Attributes", span.attributes),
  );
  if (span.events.length > 0) lines.push("Events:");
  for (const [i, event] of span.events.entries()) lines.push(...eventLines(i, event));
  if (span.links.length > 0) lines.push("Links:");
  for (const [i, link] of span.links.entries()) lines.push(...linkLines(i, link));
}

function eventLines(index: number, event: SpanEventData): string[] {
  return [
    `SpanEvent #${index}`,
    `${indent} Name: ${event.name}`,
    `${indent} Timestamp: ${timeText(event.timeUnixNano)}`,
    `${indent} DroppedAttributesCount: ${event.droppedAttributesCount}`,
    ...attributeLines(`${indent} Attributes:`, event.attributes),
  ];
}

function linkLines(index: number, link: SpanLinkData): string[] {
  return [
    `SpanLink #${index}`,
    `${indent} Trace ID: ${hex(link.traceId)}`,
    `${indent} ID: ${hex(link.spanId)}`,
    `${indent} TraceState: ${link.traceState}`,
    `${indent} DroppedAttributesCount: ${link.droppedAttributesCount}`,
    ...attributeLines(`${indent} Attributes:`, link.attributes),
  ];
}
