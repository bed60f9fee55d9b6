/** Requests of signals that are not taken here: refused, counted, and named once in the log, so that none is lost in silence. */

import type { Logger, Meter, MetricCell } from "../../component/telemetry.ts";
import type { Signal } from "../../model/otlp-request.ts";
import type { Transport } from "./intake.ts";

/** What OTLP can carry: profiles too, which no pipeline of Millrace takes. */
export type RequestedSignal = Signal | "profiles";

const requestedSignals: readonly RequestedSignal[] = ["metrics", "traces", "logs", "profiles"];

/** Where profiles come, over each protocol; the paths of the other signals are known already. */
export const profilesPaths: Readonly<Record<Transport, string>> = {
  grpc: "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
  http: "/v1development/profiles",
};

export class UnservedSignals {
  readonly #id: string;
  readonly #log: Logger;
  readonly #meter: Meter;
  readonly #cells = new Map<string, MetricCell>();
  readonly #named = new Set<string>();

  constructor({ id, log, meter }: { readonly id: string; readonly log: Logger; readonly meter: Meter }) {
    this.#id = id;
    this.#log = log;
    this.#meter = meter;
  }

  /** Requests may come by this protocol; its counters stand on the page from now on. */
  announce(transport: Transport): void {
    const family = this.#meter.counter("receiver_otlp_unserved_requests_total", {
      help: "Number of requests that were refused because no pipeline takes their signal.",
    });
    for (const signal of requestedSignals) {
      this.#cells.set(`${transport} ${signal}`, family.with({ receiver: this.#id, transport, signal }));
    }
  }

  /** A request of the signal is refused. */
  count(transport: Transport, signal: RequestedSignal): void {
    const key = `${transport} ${signal}`;
    this.#cells.get(key)?.add(1);
    if (this.#named.has(key)) return;
    this.#named.add(key);
    const why =
      signal === "profiles" ? "profiles are not supported" : "no pipeline takes this signal from the receiver";
    this.#log.warn(`Refused a request: ${why}. Further ones are only counted`, { protocol: transport, signal });
  }
}
