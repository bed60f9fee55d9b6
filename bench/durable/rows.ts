/** The OTLP rows of the durable bench: no `batch`, which would answer before anything is on disk. */

import { type OtlpRow, testBed } from "../otlp/rows.ts";

const onDisk = {
  signal: "metrics",
  from: "grpc",
  to: "grpc",
  isGzip: false,
  hasBatch: false,
  isOpened: false,
  maxShare: 0.5,
  load: testBed,
} as const;

/** More requests than any subject takes. */
const asMuchAsItTakes = { ...testBed, rate: 20_000 };

/** A row that asks for as much as a subject takes is about the throughput. */
export interface DurableRow extends OtlpRow {
  readonly isFull: boolean;
}

export const durableOtlpRows: readonly DurableRow[] = [
  { ...onDisk, name: "otlp", storage: "written", isFull: false },
  { ...onDisk, name: "otlp-synced", storage: "synced", isFull: false },
  { ...onDisk, name: "otlp-full", storage: "written", load: asMuchAsItTakes, isFull: true },
  { ...onDisk, name: "otlp-synced-full", storage: "synced", load: asMuchAsItTakes, isFull: true },
];
