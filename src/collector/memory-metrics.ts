/** What the memory of the process is in use for, by part, in Millrace's own metrics. */

import type { Meter } from "../component/telemetry.ts";
import { kernelScratchBytes } from "../kernels/kernels.ts";
import type { Identities } from "../model/identities.ts";
import type { Layout } from "../model/layout.ts";

const help =
  "Bytes in use by part. All but kernels, v8_heap and resident lie in array_buffers; resident holds everything.";

/** Registers the gauge `millrace_memory_bytes`; it is worked out only when the page is asked for. */
export function observeMemory(meter: Meter, identities: Identities): void {
  meter.observe("millrace_memory_bytes", { help, type: "gauge" }, () =>
    [...memoryParts(identities)].map(([part, value]) => ({ labels: { part }, value })),
  );
}

/** Bytes by part: what the model holds, what others added to `identities.memory`, and what the runtime says of itself. */
export function memoryParts(identities: Identities): ReadonlyMap<string, number> {
  const { heapTotal, arrayBuffers, rss } = process.memoryUsage();
  return new Map([
    ["label_pairs", identities.labelPairs.byteLength],
    ["label_sets", identities.labelSets.byteLength],
    ["texts", identities.texts.byteLength],
    ["attributes", identities.attributePairs.byteLength + identities.attributeSets.byteLength],
    ["series", identities.series.byteLength],
    ["layouts", layoutBytes(identities.layouts())],
    ...identities.memory.read(),
    ["kernels", kernelScratchBytes()],
    ["v8_heap", heapTotal],
    ["array_buffers", arrayBuffers],
    ["resident", rss],
  ]);
}

/** Bytes of the columns of layouts; one that several share counts once. */
function layoutBytes(layouts: Iterable<Layout>): number {
  const buffers = new Set<ArrayBufferLike>();
  let bytes = 0;
  const count = (column: Uint32Array | Uint8Array | undefined) => {
    if (column === undefined || buffers.has(column.buffer)) return;
    buffers.add(column.buffer);
    bytes += column.buffer.byteLength;
  };
  for (const layout of layouts) {
    if (layout.form === "points") count(layout.series);
    else {
      const { labels, families, knownReading } = layout;
      for (const column of [labels, families, knownReading?.series, knownReading?.part, knownReading?.bound]) {
        count(column);
      }
    }
  }
  return bytes;
}
