/** What was under way when a program was killed: the sink had taken it, and the program may not have known. Only that may come twice. */

/** The values of each series in one request that the sink took. */
export type TakenRequest = ReadonlyMap<number, readonly number[]>;

export class UnderWay {
  readonly #atATime: number;
  /** The last ones that were taken since the program started. */
  readonly #requests: TakenRequest[] = [];
  readonly #times = new Map<number, Map<number, number>>();

  /** `atATime` is how many requests the program may have under way. */
  constructor(atATime: number) {
    this.#atATime = atATime;
  }

  took(request: TakenRequest): void {
    this.#requests.push(request);
    if (this.#requests.length > this.#atATime) this.#requests.shift();
  }

  /** The program is dead, and all that it had sent was taken or refused. */
  killed(): void {
    // A series is in one request at a time: those before its last one were over.
    const seen = new Set<number>();
    for (const request of this.#requests.splice(0).reverse()) {
      for (const [series, values] of request) {
        if (seen.has(series)) continue;
        seen.add(series);
        const times = this.#timesOf(series);
        for (const value of values) times.set(value, (times.get(value) ?? 0) + 1);
      }
    }
  }

  /** How often each value of a series was under way at a kill. */
  of(series: number): ReadonlyMap<number, number> {
    return this.#timesOf(series);
  }

  #timesOf(series: number): Map<number, number> {
    let times = this.#times.get(series);
    if (times === undefined) {
      times = new Map();
      this.#times.set(series, times);
    }
    return times;
  }
}
