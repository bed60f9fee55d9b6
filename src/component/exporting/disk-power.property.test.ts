/** An exporter with its queue on disk through random kills and power cuts that forget, reorder and tear what was not synced. */

import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Answer, createStorage, startExporter } from "../../../test/support/disk-exporter.ts";
import { propertyRuns } from "../../../test/support/property-runs.ts";
import { ForgetfulFiles } from "../../durable/test-forgetful-files.ts";

const ends = ["kill", "power", "restart"] as const;
const services = 4;

type Step =
  | { readonly kind: "offer"; readonly service: number; readonly items: number; readonly wait: boolean }
  | { readonly kind: "work"; readonly turns: number }
  | { readonly kind: "answer"; readonly answer: Answer }
  | { readonly kind: (typeof ends)[number] };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant("offer" as const),
        service: fc.nat({ max: services - 1 }),
        items: fc.integer({ min: 1, max: 5 }),
        wait: fc.boolean(),
      }),
    },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("work" as const), turns: fc.nat({ max: 60 }) }) },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant("answer" as const), answer: fc.constantFrom("take", "fail") }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom(...ends) }) },
  ),
  { minLength: 5, maxLength: 50 },
);

class History {
  readonly files = new ForgetfulFiles();
  readonly fsync: boolean;
  readonly random: () => number;
  /** Items whose request was answered. */
  readonly accepted = new Set<string>();
  /** Service of every item that was offered. */
  readonly serviceOf: number[] = [];
  readonly arrived: string[] = [];
  answer: Answer = "take";
  hadPowerCut = false;
  #current: Awaited<ReturnType<typeof startExporter>> | undefined;

  constructor(fsync: boolean, seed: number) {
    this.fsync = fsync;
    let state = seed;
    this.random = () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    };
  }

  async exporter() {
    this.#current ??= await startExporter(createStorage(this.files, { fsync: this.fsync }), () => this.answer);
    return this.#current;
  }

  async run(step: Step): Promise<void> {
    if (step.kind === "offer") await this.offer(step.service, step.items, step.wait);
    else if (step.kind === "answer") this.answer = step.answer;
    else if (step.kind === "work") await this.work(step.turns);
    else await this.end(step.kind);
  }

  async work(turns: number): Promise<void> {
    const { clock } = await this.exporter();
    for (let turn = 0; turn < turns; turn++) {
      await setImmediate();
      if (turn % 10 === 9) await clock.advance(10);
    }
  }

  async offer(service: number, items: number, wait: boolean): Promise<void> {
    const { offer } = await this.exporter();
    const from = this.serviceOf.length;
    for (let item = 0; item < items; item++) this.serviceOf.push(service);
    const taken = offer(from, from + items, `service-${service}`).then(() => {
      for (let item = from; item < from + items; item++) this.accepted.add(String(item));
    });
    if (wait) await taken;
    // What is under way when the process ends is never answered, and what a closed queue refuses was not taken.
    else taken.catch(() => {});
  }

  async end(kind: (typeof ends)[number]): Promise<void> {
    const current = await this.exporter();
    if (kind === "restart") await current.stop();
    else if (kind === "kill") this.files.kill();
    else {
      this.files.cutPower(this.random);
      this.hadPowerCut = true;
    }
    current.die();
    this.take(current);
    this.#current = undefined;
  }

  async finish(): Promise<void> {
    this.answer = "take";
    const current = await this.exporter();
    await this.work(20);
    // Collecting the metrics costs more than a turn.
    let turns = 0;
    await current.until(() => turns++ % 25 === 0 && current.metric("millrace_storage_records") === 0);
    this.take(current);
    await current.stop();
    const missing = [...this.accepted].filter((item) => !this.arrived.includes(item));
    // Without syncs the power takes what the system has not written yet.
    if (this.fsync || !this.hadPowerCut) expect(missing).toEqual([]);
    for (let service = 0; service < services; service++) {
      const items = this.arrived.map(Number).filter((item) => this.serviceOf[item] === service);
      const first = items.filter((item, i) => items.indexOf(item) === i);
      expect([service, first]).toEqual([service, [...first].sort((a, b) => a - b)]);
    }
  }

  take({ delivered, metric }: Awaited<ReturnType<typeof startExporter>>): void {
    expect(metric("otelcol_exporter_dropped_items")).toBe(0);
    this.arrived.push(...delivered);
  }
}

test("what was accepted arrives in order through kills and power cuts", async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.boolean(), fc.nat(), async (list, fsync, seed) => {
      const history = new History(fsync, seed);
      for (const step of list) await history.run(step);
      await history.finish();
    }),
    { numRuns: Number(process.env["DURABLE_RUNS"] ?? propertyRuns(100)) },
  );
});
