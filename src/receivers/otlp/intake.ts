/** Where requests of both protocols enter the pipelines: walked once, counted, handed on unopened. */

import { MetricsDecoder } from "../../codec/otlp/decode-metrics.ts";
import type { PartialSuccess } from "../../codec/otlp/export-response.ts";
import { metricsSegment } from "../../codec/otlp/metrics-segment.ts";
import { openRequest } from "../../codec/otlp/walk-request.ts";
import { requestFromJson } from "../../codec/otlp-json/request-from-json.ts";
import type { Output } from "../../component/consumer.ts";
import type { Meter, MetricCell } from "../../component/telemetry.ts";
import { logsBatch, signals, tracesBatch } from "../../model/any-batch.ts";
import { metricsBatch } from "../../model/batch.ts";
import type { ClientInfo } from "../../model/client-info.ts";
import type { Identities } from "../../model/identities.ts";
import type { OtlpRequest, RequestShape, Signal } from "../../model/otlp-request.ts";
import { partialRefusal, toRefusal } from "./refusal.ts";

export type Transport = "grpc" | "http";

/** Whence a request came. */
export interface RequestOrigin {
  readonly transport: Transport;
  readonly isJson: boolean;
  readonly client: ClientInfo;
}

export interface IntakeParts {
  readonly id: string;
  readonly next: Output;
  readonly identities: Identities;
  readonly meter: Meter;
}

interface Cells {
  readonly accepted: MetricCell;
  readonly refused: MetricCell;
  readonly failed: MetricCell;
}

const itemNames: Readonly<Record<Signal, readonly [name: string, text: string]>> = {
  metrics: ["metric_points", "metric points"],
  traces: ["spans", "spans"],
  logs: ["log_records", "log records"],
};

export class Intake {
  readonly #next: Output;
  readonly #identities: Identities;
  #decoder: MetricsDecoder | undefined;
  readonly #id: string;
  readonly #meter: Meter;
  readonly #cells = new Map<string, Cells>();

  constructor({ id, next, identities, meter }: IntakeParts) {
    this.#next = next;
    this.#identities = identities;
    this.#id = id;
    this.#meter = meter;
  }

  /** Requests may come by this protocol; its counters stand on the page from now on. */
  announce(transport: Transport): void {
    if (this.#cells.has(`${transport} metrics`)) return;
    for (const [name, cells] of createCells(this.#id, this.#meter, transport)) this.#cells.set(name, cells);
  }

  /** Whether a pipeline takes the signal. */
  takes(signal: Signal): boolean {
    return this.#next.takes(signal);
  }

  /**
   * Resolves when the pipelines have taken responsibility for the request, with what they did not take of it for good;
   * rejects with a GrpcError that says what the client is to be told. The bytes are kept, not copied.
   */
  take(
    signal: Signal,
    bytes: Uint8Array,
    { transport, isJson, client }: RequestOrigin,
  ): Promise<PartialSuccess | undefined> {
    let items = 0;
    let answer: Promise<void>;
    try {
      const { request, shape } = this.#open(signal, bytes, isJson);
      items = request.items;
      // An empty request is a success of its own (OTLP 1.11): pipelines would carry nothing.
      answer = items > 0 ? this.#handOn(request, shape, client) : Promise.resolve();
    } catch (caught) {
      answer = Promise.reject(caught);
    }
    // What waits for the answer does not keep the bytes: a processor may have made others of them.
    return this.#answered(answer, items, this.#cells.get(`${transport} ${signal}`));
  }

  async #answered(answer: Promise<void>, items: number, cells: Cells | undefined): Promise<PartialSuccess | undefined> {
    try {
      await answer;
    } catch (caught) {
      const partial = partialRefusal(caught, items);
      if (partial !== undefined) {
        cells?.refused.add(partial.rejectedItems);
        cells?.accepted.add(items - partial.rejectedItems);
        return { rejectedItems: BigInt(partial.rejectedItems), errorMessage: partial.message };
      }
      const refusal = toRefusal(caught);
      (refusal === caught ? cells?.failed : cells?.refused)?.add(items);
      throw refusal;
    }
    cells?.accepted.add(items);
    return undefined;
  }

  #open(
    signal: Signal,
    bytes: Uint8Array,
    isJson: boolean,
  ): { request: OtlpRequest; shape?: RequestShape | undefined } {
    if (isJson) return { request: requestFromJson(signal, bytes) };
    return signal === "metrics" ? this.#metrics.open(bytes) : { request: openRequest(signal, bytes) };
  }

  get #metrics(): MetricsDecoder {
    this.#decoder ??= new MetricsDecoder(this.#identities);
    return this.#decoder;
  }

  #handOn(request: OtlpRequest, shape: RequestShape | undefined, client: ClientInfo): Promise<void> {
    switch (request.signal) {
      case "metrics":
        return this.#next.metrics(metricsBatch([metricsSegment(request, this.#metrics, shape)], client));
      case "traces":
        return this.#next.traces(tracesBatch([request], client));
      case "logs":
        return this.#next.logs(logsBatch([request], client));
    }
  }
}

/** The Collector's own metrics of receivers, for each protocol: the pipeline knows only one name of a transport. */
function createCells(id: string, meter: Meter, transport: Transport): ReadonlyMap<string, Cells> {
  const cells = new Map<string, Cells>();
  for (const signal of signals) {
    const [name, text] = itemNames[signal];
    const count = (what: string, help: string) =>
      meter
        .counter(`otelcol_receiver_${what}_${name}`, { help: `Number of ${text} ${help}` })
        .with({ receiver: id, transport });
    cells.set(`${transport} ${signal}`, {
      accepted: count("accepted", "successfully pushed into the pipeline."),
      refused: count("refused", "that could not be pushed into the pipeline."),
      failed: count("failed", "that failed to be processed by the receiver due to internal errors."),
    });
  }
  return cells;
}
