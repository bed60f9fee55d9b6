/** One component instance in a graph: its creation, its life, its inputs and outputs, and how it fares. */

import { type Consumers, consumeWith } from "../component/consumer.ts";
import type {
  AnyDefinition,
  ComponentStatus,
  CreateContext,
  Exporter,
  Host,
  Lifecycle,
  Processor,
  Receiver,
} from "../component/define.ts";
import type { Clock, Logger, Meter } from "../component/telemetry.ts";
import type { AnyBatch } from "../model/any-batch.ts";
import { ConfigError, type ConfigIssue, ConsumeError, toError } from "../model/errors.ts";
import type { Identities } from "../model/identities.ts";
import type { Signal } from "../model/otlp-request.ts";
import { ComponentMeter } from "./component-meter.ts";
import { isConsumeError, unexpectedError } from "./consume-errors.ts";
import { countExported, countPassing, countProcessed, countReceived } from "./counting.ts";
import type { ComponentSetup } from "./graph-setup.ts";
import { Junction } from "./junction.ts";
import { Loops } from "./loops.ts";
import { whenAborted } from "./wait.ts";

/** What the process gives to every component. */
export interface GraphEnvironment {
  readonly identities: Identities;
  readonly log: Logger;
  readonly meter: Meter;
  readonly clock: Clock;
  readonly version: string;
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
}

/** Where an instance stands: a processor has one instance in each pipeline, a connector one for each pair of signals. */
export interface NodePlace {
  readonly key: string;
  readonly pipeline?: string | undefined;
  /** The signals that pass through it; of an extension none. */
  readonly signals: readonly Signal[];
  /** Of a connector: the signal that it makes. */
  readonly to?: Signal | undefined;
}

/** How long a component may take for its end after the deadline's signal. */
const afterDeadlineMs = 1000;
/** How long a component that is leaving waits for the batches that are in it, before it is told to end. */
const inFlightGraceMs = 5000;
/** The same unexpected error is logged again after this time. */
const repeatLogMs = 60_000;

export class GraphNode {
  readonly place: NodePlace;
  /** Where its output goes; receivers, processors and connectors have one. */
  readonly next = new Junction();
  /** Takes batches; undefined for receivers and extensions. */
  readonly input: Consumers | undefined;
  readonly instance: Lifecycle;
  readonly #environment: GraphEnvironment;
  readonly #meter: ComponentMeter;
  readonly #log: Logger;
  readonly #loops: Loops;
  #setup: ComponentSetup;
  #status: ComponentStatus = { state: "ok", message: "" };
  #isClosed = false;
  #retired: Promise<void> | undefined;
  readonly #end = Promise.withResolvers<void>();
  /** Settles when the component and all that it came after have ended. */
  readonly ended: Promise<void>;
  #inFlight = 0;
  #wakeIdle: () => void = () => {};
  #lastUnexpected: { readonly message: string; readonly atMs: number } | undefined;

  /** Creates the component; throws ConfigError when it cannot be created. */
  constructor(
    setup: ComponentSetup,
    place: NodePlace,
    environment: GraphEnvironment,
    host: Omit<Host, "reportStatus">,
    predecessor?: GraphNode | undefined,
  ) {
    this.#setup = setup;
    this.place = place;
    // One that is replaced before its own predecessor has ended ends at once: then that one is still to be waited for.
    this.ended = Promise.all([this.#end.promise, predecessor?.ended]).then(() => {});
    this.#environment = environment;
    this.#meter = new ComponentMeter(environment.meter);
    this.#log = environment.log.child({
      "otelcol.component.id": setup.id,
      "otelcol.component.kind": setup.kind,
      ...(place.pipeline === undefined ? {} : { "otelcol.pipeline.id": place.pipeline }),
      ...(place.signals.length === 1 ? { "otelcol.signal": place.signals[0] } : {}),
    });
    this.#loops = new Loops((name, error) => this.#loopFailed(name, error));
    const context: CreateContext<unknown> = {
      id: setup.id,
      config: setup.config,
      identities: environment.identities,
      log: this.#log,
      meter: this.#meter,
      clock: environment.clock,
      host: {
        version: host.version,
        env: environment.env,
        extension: (id) => host.extension(id),
        isReady: () => host.isReady(),
        statuses: () => host.statuses(),
        reportStatus: (status) => this.#report(status),
      },
      signals: place.signals,
      after: predecessor?.ended,
      spawn: (name, loop) => this.#loops.add(name, loop),
    };
    try {
      this.instance = this.#create(setup.definition, context);
      this.input = this.#createInput();
    } catch (caught) {
      this.#meter.removeObservers();
      throw toConfigError(caught, this.path, "cannot be created");
    }
  }

  get setup(): ComponentSetup {
    return this.#setup;
  }

  get status(): ComponentStatus {
    return this.#status;
  }

  /** The path of its section. */
  get path(): string {
    return `${this.#setup.kind}s::${this.#setup.id}`;
  }

  /** Whether it can go on with this setup as it is; what failed for good is created anew instead. */
  isSameAs(setup: ComponentSetup): boolean {
    if (this.#status.state === "permanent") return false;
    return this.#setup.definition === setup.definition && this.#setup.fingerprint === setup.fingerprint;
  }

  /** Whether it can take this setup without a stop. */
  canBecome(setup: ComponentSetup): boolean {
    const { definition } = this.#setup;
    if (this.#status.state === "permanent") return false;
    return definition.kind === "receiver" && definition === setup.definition && "reconfigure" in this.instance;
  }

  /** Takes a new configuration; throws ConfigError when it cannot, and the old one holds. */
  async reconfigure(setup: ComponentSetup): Promise<void> {
    try {
      await (this.instance as Receiver<unknown>).reconfigure?.(setup.config);
    } catch (caught) {
      throw toConfigError(caught, this.path, "cannot take the new configuration");
    }
    this.#setup = setup;
  }

  /** Throws ConfigError when the component cannot start. */
  async start(): Promise<void> {
    try {
      await this.instance.start?.();
    } catch (caught) {
      throw toConfigError(caught, this.path, "cannot start");
    }
    this.#loops.start();
  }

  /** What it observes is no longer on the page: its successor's is. */
  hideMetrics(): void {
    this.#meter.removeObservers();
  }

  /** Its counters leave the page: no component has its id any more. */
  forgetMetrics(): void {
    this.#meter.removeCounters();
  }

  /**
   * Ends the component: its loops, then what is in it, then itself. Resolves soon after the deadline at the latest, whatever
   * the component does, and never rejects. Works before `start` and twice.
   */
  retire(deadline: AbortSignal): Promise<void> {
    this.#retired ??= this.#retire(deadline);
    return this.#retired;
  }

  async #retire(deadline: AbortSignal): Promise<void> {
    const end = async () => {
      await this.#loops.stop();
      // A processor may hold batches until it is told to end; an exporter answers what it has.
      if (this.#setup.kind === "exporter") await this.#idle(deadline);
      await this.instance.shutdown?.(deadline);
    };
    try {
      const outcome = await Promise.race([end(), whenAborted(deadline, afterDeadlineMs)]);
      if (outcome === "aborted") this.#log.error("Component did not shut down in time");
    } catch (caught) {
      this.#log.error("Component failed to shut down", { error: toError(caught).message });
    }
    this.#isClosed = true;
    this.#meter.removeObservers();
    this.#end.resolve();
  }

  /** Resolves when no batch is in the component, or after a grace, or at the deadline. */
  async #idle(deadline: AbortSignal): Promise<void> {
    if (this.#inFlight === 0) return;
    const graceOver = new AbortController();
    const timer = setTimeout(() => graceOver.abort(), inFlightGraceMs);
    const idle = new Promise<void>((resolve) => {
      this.#wakeIdle = resolve;
    });
    await Promise.race([idle, whenAborted(AbortSignal.any([deadline, graceOver.signal]), 0)]);
    clearTimeout(timer);
  }

  #create(definition: AnyDefinition, context: CreateContext<unknown>): Lifecycle {
    const { signals, to } = this.place;
    switch (definition.kind) {
      case "receiver": {
        const next = this.#setup.countsItself ? this.next : countReceived(this.next, this.#meter, this.#setup, signals);
        return definition.create({ ...context, next });
      }
      case "connector": {
        const [from = "metrics"] = signals;
        return definition.create({ ...context, next: this.next, from, to: to ?? from });
      }
      default:
        return definition.create(context);
    }
  }

  #createInput(): Consumers | undefined {
    const { kind, id, countsItself } = this.#setup;
    const { signals } = this.place;
    if (kind === "receiver" || kind === "extension") return undefined;
    for (const signal of signals) {
      if ((this.instance as Processor | Exporter)[signal] === undefined) {
        throw new Error(`telemetry type is not supported: it takes no ${signal}`);
      }
    }
    if (kind === "processor") {
      const { incoming, outgoing } = countProcessed(this.#meter, id, signals[0] ?? "metrics");
      const next = countPassing(this.next, outgoing);
      return countPassing(this.#guarded(processWith(this.instance, next)), incoming);
    }
    const input = this.#guarded(exportWith(this.instance));
    return kind === "exporter" && !countsItself ? countExported(input, this.#meter, id, signals) : input;
  }

  /** Counts what is in the component, refuses when it has ended, and gives unexpected errors a class. */
  #guarded(take: (batch: AnyBatch) => Promise<void>): Consumers {
    const left = () => this.#leave();
    const failed = (caught: unknown) => this.#fail(caught);
    // Not an async function: it would keep the batch until the answer, also one that was opened and is garbage.
    return consumeWith((batch) => {
      if (this.#isClosed) {
        const message = `${this.path}: has shut down`;
        return Promise.reject(new ConsumeError("CONSUME_SHUTDOWN", message, { permanent: false }));
      }
      this.#inFlight++;
      let answer: Promise<void>;
      try {
        answer = take(batch);
      } catch (caught) {
        answer = Promise.reject(caught);
      }
      // A component of somebody else may answer with anything that can be awaited.
      return Promise.resolve(answer).then(left, failed);
    });
  }

  #leave(): void {
    this.#inFlight--;
    if (this.#inFlight === 0) this.#wakeIdle();
  }

  /** Throws what the caller is told. */
  #fail(caught: unknown): never {
    this.#leave();
    if (isConsumeError(caught)) throw caught;
    this.#logUnexpected(toError(caught));
    throw unexpectedError(this.path, caught);
  }

  #logUnexpected(error: Error): void {
    const nowMs = this.#environment.clock.monotonic();
    const last = this.#lastUnexpected;
    if (last !== undefined && last.message === error.message && nowMs - last.atMs < repeatLogMs) return;
    this.#lastUnexpected = { message: error.message, atMs: nowMs };
    this.#log.error("Unexpected error, data was dropped", { error: error.message, stack: error.stack });
  }

  #loopFailed(name: string, caught: unknown): void {
    const error = toError(caught);
    this.#log.error("Background work ended with an error", { loop: name, error: error.message, stack: error.stack });
    this.#report({ state: "permanent", message: `${name}: ${error.message}` });
  }

  /** What failed for good stays failed until it is created anew. */
  #report(status: ComponentStatus): void {
    if (this.#status.state !== "permanent") this.#status = status;
  }
}

async function takesNone({ signal }: AnyBatch): Promise<never> {
  throw new ConsumeError("CONSUME_REJECTED", `telemetry type is not supported: no ${signal} here`, { permanent: true });
}

/** The function of a processor for the signal of a batch. */
function processWith(processor: Processor, next: Consumers) {
  return (batch: AnyBatch): Promise<void> => {
    if (batch.signal === "metrics") return processor.metrics?.(batch, next) ?? takesNone(batch);
    if (batch.signal === "traces") return processor.traces?.(batch, next) ?? takesNone(batch);
    return processor.logs?.(batch, next) ?? takesNone(batch);
  };
}

/** The function of an exporter or a connector for the signal of a batch. */
function exportWith(exporter: Exporter) {
  return (batch: AnyBatch): Promise<void> => {
    if (batch.signal === "metrics") return exporter.metrics?.(batch) ?? takesNone(batch);
    if (batch.signal === "traces") return exporter.traces?.(batch) ?? takesNone(batch);
    return exporter.logs?.(batch) ?? takesNone(batch);
  };
}

function toConfigError(caught: unknown, path: string, what: string): ConfigError {
  const error = toError(caught);
  if (isConfigError(error)) return new ConfigError(error.issues, { cause: error });
  return new ConfigError([{ path, message: `${what}: ${error.message}` }], { cause: error });
}

/** Also one of another copy of Millrace. */
function isConfigError(error: Error): error is Error & { readonly issues: readonly ConfigIssue[] } {
  return "code" in error && error.code === "CONFIG_INVALID" && "issues" in error && Array.isArray(error.issues);
}
