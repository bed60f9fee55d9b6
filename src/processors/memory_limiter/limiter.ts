/** Decides from the memory in use whether data is refused. */

import type { Host } from "../../component/define.ts";
import type { Clock, Logger } from "../../component/telemetry.ts";

const mebibyte = 2 ** 20;
/** The distance between the limits when none is configured. */
const defaultSpikeShare = 0.2;

/** Where memory figures come from. */
export interface MemorySource {
  /** Bytes of resident memory of this process. */
  residentBytes(): number;
  /** Bytes that the container, or else the machine, has. */
  totalBytes(): number;
  /** Collects garbage now. */
  collectGarbage(): void;
}

export interface MemorySettings {
  readonly check_interval: number;
  readonly limit_mib: number;
  readonly spike_limit_mib: number;
  readonly limit_percentage: number;
  readonly spike_limit_percentage: number;
  readonly min_gc_interval_when_soft_limited: number;
  readonly min_gc_interval_when_hard_limited: number;
}

export interface MemoryLimits {
  /** Above this, garbage is collected at every look. */
  readonly hardBytes: number;
  /** From this on, data is refused. */
  readonly softBytes: number;
}

/** The limits in bytes; fixed ones win over percentages. */
export function memoryLimits(settings: MemorySettings, memory: MemorySource): MemoryLimits {
  const isFixed = settings.limit_mib > 0;
  const unit = isFixed ? mebibyte : memory.totalBytes() / 100;
  const hardBytes = unit * (isFixed ? settings.limit_mib : settings.limit_percentage);
  const spike = unit * (isFixed ? settings.spike_limit_mib : settings.spike_limit_percentage);
  return { hardBytes, softBytes: hardBytes - (spike === 0 ? hardBytes * defaultSpikeShare : spike) };
}

/** Looks at the memory in use every `check_interval`. */
export class MemoryLimiter {
  readonly #settings: MemorySettings;
  readonly #memory: MemorySource;
  readonly #outside: { clock: Clock; log: Logger; host: Host };
  #lastCollectionAt: number | undefined;
  #mustRefuse = false;

  constructor(settings: MemorySettings, memory: MemorySource, outside: { clock: Clock; log: Logger; host: Host }) {
    this.#settings = settings;
    this.#memory = memory;
    this.#outside = outside;
  }

  /** Whether data must be refused now. */
  get mustRefuse(): boolean {
    return this.#mustRefuse;
  }

  /** Checks until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const limits = memoryLimits(this.#settings, this.#memory);
    while (!signal.aborted) {
      this.check(limits);
      await this.#outside.clock.sleep(this.#settings.check_interval, signal);
    }
  }

  /** One look. */
  check(limits: MemoryLimits): void {
    let used = this.#memory.residentBytes();
    if (used >= limits.softBytes && this.#mayCollect(used >= limits.hardBytes)) {
      this.#memory.collectGarbage();
      this.#lastCollectionAt = this.#outside.clock.monotonic();
      used = this.#memory.residentBytes();
    }
    const mustRefuse = used >= limits.softBytes;
    if (mustRefuse !== this.#mustRefuse) this.#report(mustRefuse, used);
    this.#mustRefuse = mustRefuse;
  }

  #mayCollect(isAboveHardLimit: boolean): boolean {
    if (this.#lastCollectionAt === undefined) return true;
    const { min_gc_interval_when_hard_limited: hard, min_gc_interval_when_soft_limited: soft } = this.#settings;
    return this.#outside.clock.monotonic() - this.#lastCollectionAt > (isAboveHardLimit ? hard : soft);
  }

  #report(mustRefuse: boolean, used: number): void {
    const { log, host } = this.#outside;
    const fields = { cur_mem_mib: Math.round(used / mebibyte) };
    if (mustRefuse) {
      log.warn("Memory usage is above soft limit. Refusing data.", fields);
      host.reportStatus({ state: "recoverable", message: "data refused due to high memory usage" });
    } else {
      log.info("Memory usage back within limits. Resuming normal operation.", fields);
      host.reportStatus({ state: "ok", message: "" });
    }
  }
}
