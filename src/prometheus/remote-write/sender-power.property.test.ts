/** A sender with its queue on disk through random kills and power cuts that forget, reorder and tear what was not synced. */

import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { perSeries, startDiskSender } from "../../../test/support/disk-sender.ts";
import { propertyRuns } from "../../../test/support/property-runs.ts";
import { ForgetfulFiles } from "../../durable/test-forgetful-files.ts";

const ends = ["kill", "power", "restart"] as const;

type Step =
  | { readonly kind: "offer"; readonly lanes: readonly number[]; readonly wait: boolean }
  | { readonly kind: "work"; readonly turns: number }
  | { readonly kind: "status"; readonly status: number }
  | { readonly kind: (typeof ends)[number] };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant("offer" as const),
        lanes: fc.uniqueArray(fc.nat({ max: 2 }), { minLength: 1, maxLength: 3 }),
        wait: fc.boolean(),
      }),
    },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("work" as const), turns: fc.nat({ max: 60 }) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("status" as const), status: fc.constantFrom(200, 503) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom(...ends) }) },
  ),
  { minLength: 5, maxLength: 50 },
);

class History {
  readonly files = new ForgetfulFiles();
  readonly fsync: boolean;
  readonly random: () => number;
  /** Rows whose `accept` was answered, `series@time`. */
  readonly accepted = new Set<string>();
  readonly arrived: string[] = [];
  status = 200;
  nowMs = 0;
  hadPowerCut = false;
  #current: Awaited<ReturnType<typeof startDiskSender>> | undefined;

  constructor(fsync: boolean, seed: number) {
    this.fsync = fsync;
    let state = seed;
    this.random = () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    };
  }

  async sender() {
    this.#current ??= await startDiskSender(this.files, () => this.status, { fsync: this.fsync });
    return this.#current;
  }

  async run(step: Step): Promise<void> {
    if (step.kind === "offer") await this.offer(step.lanes, step.wait);
    else if (step.kind === "status") this.status = step.status;
    else if (step.kind === "work") for (let turn = 0; turn < step.turns; turn++) await setImmediate();
    else await this.end(step.kind);
  }

  async offer(lanes: readonly number[], wait: boolean): Promise<void> {
    const { offer } = await this.sender();
    const timeMs = ++this.nowMs;
    const taken = offer(timeMs, lanes).then(() => {
      for (const lane of lanes) for (let row = 0; row < 7; row++) this.accepted.add(`s${lane}_${row}@${timeMs}`);
    });
    if (wait) await taken;
    // What is under way when the process ends is never answered, and what a closed queue refuses was not taken.
    else taken.catch(() => {});
  }

  async end(kind: (typeof ends)[number]): Promise<void> {
    const current = await this.sender();
    if (kind === "restart") {
      await current.sender.shutdown(AbortSignal.timeout(30_000));
      await current.disk.close();
    } else if (kind === "kill") this.files.kill();
    else {
      this.files.cutPower(this.random);
      this.hadPowerCut = true;
    }
    current.die();
    this.take(current);
    this.#current = undefined;
  }

  async finish(): Promise<void> {
    this.status = 200;
    const current = await this.sender();
    for (let turn = 0; turn < 20; turn++) await setImmediate();
    await current.idle();
    this.take(current);
    const missing = [...this.accepted].filter((row) => !this.arrived.includes(row));
    // Without syncs the power takes what the system has not written yet.
    if (this.fsync || !this.hadPowerCut) expect(missing).toEqual([]);
    for (const [series, times] of perSeries(this.arrived)) {
      const first = times.filter((time, i) => times.indexOf(time) === i);
      expect([series, first]).toEqual([series, [...first].sort((a, b) => a - b)]);
    }
    current.die();
    await current.disk.close();
  }

  take({ delivered, dropped, changed }: Awaited<ReturnType<typeof startDiskSender>>): void {
    expect({ dropped, changed }).toEqual({ dropped: [], changed: [] });
    this.arrived.push(...delivered);
  }
}

/** The power takes what the only record that waits is read by: a stop must not wait for it. */
const cutBeforeStop: [Step[], boolean, number] = [
  [
    { kind: "status", status: 503 },
    { kind: "offer", lanes: [2], wait: true },
    { kind: "work", turns: 9 },
    { kind: "offer", lanes: [2, 0], wait: false },
    { kind: "work", turns: 26 },
    { kind: "power" },
    { kind: "status", status: 200 },
    { kind: "restart" },
    { kind: "offer", lanes: [1], wait: true },
    { kind: "offer", lanes: [2, 1, 0], wait: true },
    { kind: "power" },
    { kind: "restart" },
  ],
  false,
  291_268_651,
];

test("what was accepted arrives in order, with its values, through kills and power cuts", async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.boolean(), fc.nat(), async (list, fsync, seed) => {
      const history = new History(fsync, seed);
      for (const step of list) await history.run(step);
      await history.finish();
    }),
    { numRuns: Number(process.env["DURABLE_RUNS"] ?? propertyRuns(150)), examples: [cutBeforeStop] },
  );
});
