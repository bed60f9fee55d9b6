/** Exemplars between their Prometheus form (labels) and their OTLP form (trace, span and attributes). */

import { attributeText } from "../../codec/otlp-json/attribute-text.ts";
import type { AttributeValue } from "../../model/attributes.ts";
import type { PointExemplar, SampleExemplar } from "../../model/batch.ts";
import type { Label } from "../../model/identities.ts";
import { nanosOfMs } from "./times.ts";

const noBytes = new Uint8Array(0);
/** Runes of all names and values of an exemplar's labels (OpenMetrics 1.0 "Exemplars"). */
const maxLabelRunes = 128;

/** The bytes of a hexadecimal text as an id, as otelcol-contrib reads it: a short one fills the id's end, zeros are no id. */
function hexId(value: string, bytes: number): Uint8Array | undefined {
  if (value.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(value)) return undefined;
  const read = Buffer.from(value, "hex").subarray(0, bytes);
  if (read.every((byte) => byte === 0)) return noBytes;
  const id = new Uint8Array(bytes);
  id.set(read, bytes - read.length);
  return id;
}

/** The OTLP form; `timestampMs` is the time of the sample, for exemplars without one of their own. */
export function toPointExemplar(exemplar: SampleExemplar, row: number, timestampMs: number): PointExemplar {
  let traceId: Uint8Array = noBytes;
  let spanId: Uint8Array = noBytes;
  const filteredAttributes = new Map<string, AttributeValue>();
  for (const [name, value] of exemplar.labels) {
    const key = name.toLowerCase();
    if (key === "trace_id" || key === "span_id") {
      const id = hexId(value, key === "trace_id" ? 16 : 8);
      if (id === undefined) filteredAttributes.set(name, value);
      else if (key === "trace_id") traceId = id;
      else spanId = id;
    } else filteredAttributes.set(name, value);
  }
  return {
    row,
    filteredAttributes,
    value: exemplar.value,
    timeUnixNano: nanosOfMs(exemplar.timestampMs ?? timestampMs),
    traceId,
    spanId,
  };
}

/** The labels that remote write sends; the attributes only when all of them stay within 128 characters. */
export function exemplarLabels(exemplar: PointExemplar): Label[] {
  const labels: Label[] = [];
  if (exemplar.traceId.length > 0) labels.push(["trace_id", Buffer.from(exemplar.traceId).toString("hex")]);
  if (exemplar.spanId.length > 0) labels.push(["span_id", Buffer.from(exemplar.spanId).toString("hex")]);
  const attributes = Array.from(
    exemplar.filteredAttributes,
    ([name, value]): Label => [name, attributeText(value)],
  ).filter(([name]) => !labels.some(([taken]) => taken === name));
  const runes = [...labels, ...attributes].reduce(
    (sum, [name, value]) => sum + [...name].length + [...value].length,
    0,
  );
  return runes <= maxLabelRunes ? [...labels, ...attributes] : labels;
}

/** The remote-write form of an OTLP exemplar, at a row of a samples segment. */
export function toSampleExemplar(exemplar: PointExemplar, row: number): SampleExemplar {
  return {
    row,
    labels: exemplarLabels(exemplar),
    value: Number(exemplar.value),
    timestampMs: Number(exemplar.timeUnixNano / 1_000_000n),
  };
}
