/** Mutated OTLP requests, and everything that may be done to a request whose bytes were let in. */

import { readdirSync, readFileSync } from "node:fs";
import { MetricsDecoder } from "../../src/codec/otlp/decode-metrics.ts";
import { MetricsEncoder } from "../../src/codec/otlp/encode-metrics.ts";
import { decodeLogs } from "../../src/codec/otlp/logs-data.ts";
import { divideRequest } from "../../src/codec/otlp/request-resources.ts";
import { splitRequest } from "../../src/codec/otlp/split-request.ts";
import { decodeTraces } from "../../src/codec/otlp/traces-data.ts";
import { openRequest } from "../../src/codec/otlp/walk-request.ts";
import { requestFromJson } from "../../src/codec/otlp-json/request-from-json.ts";
import { requestToJson } from "../../src/codec/otlp-json/request-to-json.ts";
import { editRequests } from "../../src/component/edit-request.ts";
import { createHashKey } from "../../src/kernels/hash-bytes.ts";
import { logsBatch, tracesBatch } from "../../src/model/any-batch.ts";
import { DecodeError } from "../../src/model/errors.ts";
import { Identities } from "../../src/model/identities.ts";
import type { OtlpRequest, Signal } from "../../src/model/otlp-request.ts";
import { type ContentCoding, unpack } from "../../src/transport/content-coding.ts";

/** A request to mutate. */
export interface FuzzSeed {
  readonly name: string;
  readonly signal: Signal;
  readonly bytes: Buffer;
  readonly isJson: boolean;
}

const signals: readonly Signal[] = ["metrics", "traces", "logs"];
const codings: Readonly<Record<string, ContentCoding>> = { gz: "gzip", zst: "zstd", snappy: "snappy" };
const maxUnpackedBytes = 1024 * 1024;

/** The files of the corpus, unpacked where they can be. */
export function readCorpus(): FuzzSeed[] {
  const folder = new URL("../corpus/otlp/", import.meta.url);
  return readdirSync(folder)
    .filter((name) => !name.endsWith(".md"))
    .sort()
    .map((name) => {
      const signal = signals.find((one) => name.startsWith(`${one}.`)) ?? "metrics";
      const coding = codings[name.split(".").at(-1) ?? ""];
      const bytes = readFileSync(new URL(name, folder));
      return {
        name,
        signal,
        bytes: coding === undefined ? bytes : unpacked(coding, bytes),
        isJson: name.endsWith(".json"),
      };
    });
}

function unpacked(coding: ContentCoding, bytes: Buffer): Buffer {
  try {
    const plain = unpack(coding, bytes, maxUnpackedBytes);
    return plain === "too-large" ? bytes : Buffer.from(plain);
  } catch (caught) {
    if (caught instanceof DecodeError) return bytes;
    throw caught;
  }
}

/** Integers below a bound, the same for the same seed (mulberry32). */
export function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** Lengths that lie, ends of varints, signs, and what ends texts and nesting in JSON. */
const oddBytes = Buffer.from([
  0, 1, 0x7f, 0x80, 0xff, 0x0a, 0x12, 0x1a, 0x0b, 0x0c, 0x22, 0x5b, 0x5d, 0x7b, 0x7d, 0x5c,
]);

/** Random bytes, or the seed cut off, changed, doubled in part, crossed with another, or with a number too long in it. */
export function mutateRequest(seed: FuzzSeed, other: FuzzSeed, random: (below: number) => number): Buffer {
  const { bytes } = seed;
  const kind = random(11);
  if (kind === 0) return Buffer.from(Array.from({ length: random(300) }, () => random(256)));
  if (kind === 1) return bytes.subarray(0, random(bytes.length + 1));
  const changed = Buffer.from(bytes);
  if (changed.length === 0) return changed;
  const cut = random(changed.length);
  if (kind === 10) {
    const length = Buffer.alloc(random(200), 0x80 | random(128));
    return Buffer.concat([
      changed.subarray(0, cut),
      length,
      changed.subarray(Math.min(cut + random(9), changed.length)),
    ]);
  }
  if (kind === 2) return Buffer.concat([changed.subarray(0, cut), changed.subarray(random(cut + 1))]);
  if (kind === 3)
    return Buffer.concat([changed.subarray(0, cut), other.bytes.subarray(random(other.bytes.length + 1))]);
  for (let i = random(5); i >= 0; i--) {
    const at = random(changed.length);
    const value = changed[at] as number;
    if (kind < 6) changed[at] = random(256);
    else if (kind < 8) changed[at] = oddBytes[random(oddBytes.length)] as number;
    else changed[at] = value ^ (1 << random(8));
  }
  return changed;
}

/** Used by many requests, as in a process: what one leaves behind, the next one finds. */
export class RequestDriver {
  readonly #identities = new Identities();
  readonly #decoder = new MetricsDecoder(this.#identities);
  readonly #encoder = new MetricsEncoder();
  readonly #hashKey = createHashKey(Buffer.alloc(12, 7));
  /** Requests that were well-formed, and those whose points, spans or records could be read as well. */
  taken = 0;
  opened = 0;
  /** Requests of a shape that was known. */
  matched = 0;

  /**
   * Lets the bytes in as the receiver does, and does with a request all that components do. Throws for anything that is
   * not allowed to happen: only a DecodeError is.
   */
  drive(signal: Signal, bytes: Buffer, isJson: boolean): void {
    if (signal === "metrics" && !isJson) this.#matchShape(bytes);
    const request = allowing(() => (isJson ? requestFromJson(signal, bytes) : openRequest(signal, bytes)));
    if (request === undefined) return;
    this.taken++;
    expectSum("parts", splitRequest(request, { maxItems: 1, maxBytes: 1000 }), request.items);
    const lanes = divideRequest(request, 4, this.#hashKey).filter((part) => part !== undefined);
    expectSum("lanes", lanes, request.items);
    const text = allowing(() => requestToJson(request));
    if (text !== undefined) expectSum("JSON", [requestFromJson(signal, Buffer.from(text))], request.items);
    if (allowing(() => this.#open(request)) !== undefined) this.opened++;
  }

  /** As the receiver looks at bytes that nobody has walked, and learns from those that are well-formed. */
  #matchShape(bytes: Buffer): void {
    const walked = allowing(() => openRequest("metrics", bytes));
    for (let i = 0; i < 3; i++) {
      const known = allowing(() => this.#decoder.open(bytes));
      if (known?.request.items !== walked?.items)
        throw new Error("a request of a known shape that was not well-formed");
      if (known === undefined) return;
      if (known.shape === undefined) continue;
      this.matched++;
      const { shape } = known;
      const segments = allowing(() => this.#decoder.decode(bytes, shape));
      const rows = segments?.reduce((sum, { from, to }) => sum + to - from, 0);
      if (rows !== undefined && rows !== shape.items) throw new Error(`${rows} rows of a shape of ${shape.items}`);
    }
  }

  #open(request: OtlpRequest): true {
    const { signal, bytes } = request;
    if (signal === "metrics") {
      const segments = this.#decoder.decode(bytes);
      const rows = segments.reduce((sum, { from, to }) => sum + to - from, 0);
      if (rows !== request.items) throw new Error(`${rows} rows of ${request.items} points`);
      expectSum("encoded points", [this.#encoder.encode(segments)], rows);
      return true;
    }
    if (signal === "traces") decodeTraces(Uint8Array.from(bytes));
    else decodeLogs(Uint8Array.from(bytes));
    const batch = signal === "traces" ? tracesBatch([request]) : logsBatch([request]);
    const edit = (attributes: { set(key: string, value: string): void; delete(key: string): void }) => {
      attributes.set("fuzz", "yes");
      attributes.delete("a");
    };
    const edited = editRequests(batch, { resource: edit }).requests[0];
    const again = editRequests({ ...batch, requests: edited === undefined ? [] : [edited] }, { item: edit })
      .requests[0];
    if (again !== undefined) expectSum("edited items", [openRequest(signal, again.bytes)], request.items);
    return true;
  }
}

/** Undefined where the bytes are refused as they should be. */
function allowing<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (caught) {
    if (isRefusal(caught)) return undefined;
    throw caught;
  }
}

/** Also a component's permanent refusal for such bytes. */
function isRefusal(caught: unknown): boolean {
  return caught instanceof DecodeError || (caught instanceof Error && caught.cause instanceof DecodeError);
}

function expectSum(what: string, requests: readonly OtlpRequest[], items: number): void {
  const sum = requests.reduce((all, request) => all + request.items, 0);
  if (sum !== items) throw new Error(`${what}: ${sum} items of ${items}`);
}
