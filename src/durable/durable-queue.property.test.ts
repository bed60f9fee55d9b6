/** The queue on disk against simple lists: random appends, takes, acknowledgements, rewinds, kills, power cuts, full disks, age and damage. */

import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import type { DurableQueue } from "./durable-queue.ts";
import { decodeJournalHeader } from "./journal-format.ts";
import { decodeSegmentHeader, definitionLane, type QueueId, recordSeed, segmentHeaderBytes } from "./record-format.ts";
import { scanSegment } from "./scan-segment.ts";
import { segmentNumber } from "./segment.ts";
import { ForgetfulFiles } from "./test-forgetful-files.ts";
import { openTestQueue, type TestItem, takeNext } from "./test-queue-kit.ts";

const laneCount = 4;
const maxAgeMs = 10_000;

type Step =
  | { readonly kind: "append"; readonly lanes: readonly number[]; readonly size: number; readonly wait: boolean }
  | {
      readonly kind: "take";
      readonly lane: number;
      readonly count: number;
      readonly acknowledge: number;
      readonly done: number;
    }
  | { readonly kind: "kill" | "power" | "restart" | "rewind" }
  | { readonly kind: "age"; readonly ms: number }
  | { readonly kind: "full"; readonly room: number }
  | {
      readonly kind: "damage";
      readonly file: number;
      readonly offset: number;
      readonly what: "flip" | "cut" | "remove";
    };

const lane = fc.nat({ max: laneCount - 1 });
const steps = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant("append" as const),
        lanes: fc.array(lane, { minLength: 1, maxLength: 6 }),
        size: fc.nat({ max: 900 }),
        wait: fc.boolean(),
      }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant("take" as const),
        lane,
        count: fc.integer({ min: 1, max: 12 }),
        acknowledge: fc.nat({ max: 12 }),
        done: fc.nat({ max: 2 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constantFrom("kill" as const, "power" as const, "restart" as const) }),
    },
    { weight: 1, arbitrary: fc.constant({ kind: "rewind" as const }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("age" as const), ms: fc.nat({ max: 12_000 }) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("full" as const), room: fc.nat({ max: 3000 }) }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("damage" as const),
        file: fc.nat(),
        offset: fc.nat(),
        what: fc.constantFrom("flip" as const, "cut" as const, "remove" as const),
      }),
    },
  ) as fc.Arbitrary<Step>,
  { minLength: 5, maxLength: 60 },
);

/** What must and what may come out of a lane. */
class LaneModel {
  /** Numbers whose append was answered. */
  readonly accepted: number[] = [];
  /** The record that may be handed out partly done. */
  partly: { id: number; done: number } | undefined;
  acknowledged = 0;
  /** An acknowledgement that the power may have cut off. */
  readonly taken: { id: number; sequence: number }[] = [];
  last = 0;

  restart(): void {
    this.taken.length = 0;
    this.last = 0;
  }
}

class Model {
  readonly files = new ForgetfulFiles();
  readonly lanes = Array.from({ length: laneCount }, () => new LaneModel());
  readonly excused = new Set<number>();
  readonly fsync: boolean;
  readonly random: () => number;
  queue: DurableQueue<TestItem> | undefined;
  nextId = 1;
  nowMs = 0;
  /** Acknowledgements may be forgotten. */
  mayRepeat = false;
  hadPowerCut = false;
  /** Appends that were not answered, by processes that were killed too, and whether a power cut came then. */
  unanswered = 0;
  wasCutWhileWriting = false;
  /** When each was appended. */
  readonly appendedMs: number[] = [];
  hadDamage = false;
  readonly appends: Promise<void>[] = [];
  readonly ids: QueueId[] = [];

  constructor(fsync: boolean, seed: number) {
    this.fsync = fsync;
    let state = seed;
    this.random = () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    };
  }

  async open(): Promise<DurableQueue<TestItem>> {
    if (this.queue !== undefined) return this.queue;
    this.queue = await openTestQueue(this.files, { fsync: this.fsync, now: () => this.nowMs, maxAgeMs });
    const { id } = this.queue;
    if (!this.ids.some((one) => Buffer.compare(one, id) === 0)) this.ids.push(id);
    return this.queue;
  }

  async run(step: Step): Promise<void> {
    if (step.kind === "append") await this.append(step);
    else if (step.kind === "take") await this.take(step);
    else if (step.kind === "full") await this.fill(step.room);
    else if (step.kind === "damage") await this.damage(step);
    else if (step.kind === "age") this.age(step.ms);
    else if (step.kind === "rewind") await this.rewind();
    else await this.end(step.kind);
  }

  async append({ lanes, size, wait }: Step & { kind: "append" }): Promise<void> {
    const queue = await this.open();
    const items = lanes.map((to) => ({ lane: to, item: { id: this.nextId++, size, shape: this.nextId % 3 } }));
    for (const { item } of items) this.appendedMs[item.id] = this.nowMs;
    const files = this.files;
    const append = queue.append(items).then(
      () => {
        for (const { lane: to, item } of items) this.lanes[to]?.accepted.push(item.id);
      },
      (error: unknown) => {
        expect(error).toMatchObject({ code: expect.stringMatching(/STORAGE_(FULL|CLOSED)/) });
        expect(files.capacity).toBeLessThan(Number.POSITIVE_INFINITY);
      },
    );
    this.unanswered++;
    this.appends.push(
      append.finally(() => {
        this.unanswered--;
      }),
    );
    if (wait) await append;
  }

  async take({ lane: from, count, acknowledge, done }: Step & { kind: "take" }): Promise<void> {
    const queue = await this.open();
    for (let i = 0; i < count; i++) if (!(await this.takeOne(queue, from))) break;
    const model = this.lanes[from];
    if (model === undefined) return;
    const through = model.taken.splice(0, acknowledge).at(-1);
    if (through !== undefined) {
      await queue.acknowledge([[from, { sequence: through.sequence, done: 0 }]]);
      model.acknowledged = Math.max(model.acknowledged, through.id);
      model.partly = undefined;
    }
    const first = model.taken[0];
    if (first === undefined || done === 0) return;
    await queue.acknowledge([[from, { sequence: first.sequence - 1, done }]]);
    model.partly = { id: first.id, done: model.partly?.id === first.id ? Math.max(done, model.partly.done) : done };
  }

  async takeOne(queue: DurableQueue<TestItem>, from: number): Promise<boolean> {
    const handed = await takeNext(queue, from);
    const model = this.lanes[from];
    if (handed === undefined || model === undefined) return false;
    const { id } = handed.item;
    expect(handed.timeMs).toBeGreaterThanOrEqual(this.nowMs - maxAgeMs);
    expect(id).toBeGreaterThan(model.last);
    // Nothing that was accepted and not acknowledged was left out.
    for (const missed of model.accepted) {
      if (missed > model.last && missed < id && missed > model.acknowledged && !this.excused.has(missed)) {
        expect.fail(`lane ${from}: ${missed} is missing before ${id}`);
      }
    }
    if (!this.mayRepeat) {
      expect(id).toBeGreaterThan(model.acknowledged);
      expect(handed.done).toBe(model.partly?.id === id && model.last === 0 ? model.partly.done : 0);
    } else expect(handed.done).toBeLessThanOrEqual(model.partly?.id === id ? model.partly.done : 2);
    model.last = id;
    model.taken.push({ id, sequence: handed.sequence });
    return true;
  }

  async end(kind: "kill" | "power" | "restart"): Promise<void> {
    if (kind === "restart") await this.queue?.close();
    else if (kind === "kill") this.files.kill();
    else {
      this.files.cutPower(this.random);
      this.hadPowerCut = true;
      this.wasCutWhileWriting ||= this.unanswered > 0;
      this.mayRepeat = true;
      if (!this.fsync) for (let id = 1; id < this.nextId; id++) this.excused.add(id);
    }
    this.queue = undefined;
    this.files.capacity = Number.POSITIVE_INFINITY;
    for (const model of this.lanes) model.restart();
  }

  async fill(room: number): Promise<void> {
    await this.open();
    this.files.capacity = this.files.usedBytes + room;
    await this.append({ kind: "append", lanes: [0, 1, 2, 3], size: 900, wait: true });
    await this.append({ kind: "append", lanes: [0, 1, 2, 3], size: 100, wait: true });
    this.files.capacity = Number.POSITIVE_INFINITY;
    this.age(2000);
  }

  /** What is older than the limit may be given up, and must not be handed out. */
  age(ms: number): void {
    this.nowMs += ms;
    for (const [id, atMs] of this.appendedMs.entries()) if (atMs < this.nowMs - maxAgeMs) this.excused.add(id);
  }

  async rewind(): Promise<void> {
    const queue = await this.open();
    await queue.rewind();
    queue.begin(() => {});
    for (const model of this.lanes) model.restart();
  }

  async damage({ file, offset, what }: Step & { kind: "damage" }): Promise<void> {
    await this.end("kill");
    this.hadDamage = true;
    const names = this.files.names.filter((name) => name.includes("segment-") || name.includes("positions-"));
    const name = names[file % Math.max(1, names.length)];
    if (name === undefined) return;
    const content = this.files.content(name);
    // Journals are mostly zeros.
    const at = offset % Math.max(1, Math.min(content.length, name.includes("positions-") ? 2048 : content.length));
    const hit = (from: number, to: number) => (what === "flip" ? at >= from && at < to : what === "remove" || at < to);
    if (name.includes("segment-")) await this.excuse(name, hit);
    else this.mayRepeat = true;
    if (what === "remove") this.files.replace(name, undefined);
    else if (what === "cut") this.files.replace(name, Buffer.from(content.subarray(0, at)));
    else content[at] = (content[at] ?? 0) ^ (1 << (offset % 8));
    // Where nothing says any more whose records these are, they stay where they are.
    const isKnown = this.files.names.some((one) => {
      const head = this.files.content(one).subarray(0, segmentHeaderBytes);
      return (decodeSegmentHeader(head) ?? decodeJournalHeader(head)) !== undefined;
    });
    if (!isKnown) for (let id = 1; id < this.nextId; id++) this.excused.add(id);
  }

  /** Records that are hit may be missing, and those whose definition is hit. */
  async excuse(name: string, hit: (from: number, to: number) => boolean): Promise<void> {
    const file = await this.files.process().open(name, "read");
    const lostShapes = new Set<string>();
    for (const id of this.ids) {
      const seed = recordSeed(id, segmentNumber(name.split("/").at(-1) ?? "") ?? 0);
      await scanSegment(file, segmentHeaderBytes, await file.size(), seed, ({ header, offset, payload }) => {
        const isHit = hit(offset, offset + 44 + payload.length);
        if (header.lane === definitionLane) {
          if (isHit) lostShapes.add(payload.toString("hex", 0, 16));
        } else if (isHit || lostShapes.has(payload.toString("hex", 8, 24))) this.excused.add(payload.readUInt32LE(0));
      });
    }
  }

  async finish(): Promise<void> {
    const queue = await this.open();
    await Promise.all(this.appends.map((append) => Promise.race([append, setImmediate()])));
    for (let from = 0; from < laneCount; from++) {
      const model = this.lanes[from];
      while (await this.takeOne(queue, from));
      const missing = model?.accepted.filter(
        (id) => id > model.last && id > model.acknowledged && !this.excused.has(id),
      );
      expect(missing).toEqual([]);
      const last = model?.taken.at(-1);
      if (last !== undefined) await queue.acknowledge([[from, { sequence: last.sequence, done: 0 }]]);
    }
    expect(queue.stats()).toMatchObject({ records: 0, items: 0, bytes: 0, memoryBytes: 0 });
    await queue.close();
    // A power cut may leave files of which nothing says whose they are, where they were not synced yet: those stay.
    if (this.hadPowerCut && (!this.fsync || this.wasCutWhileWriting)) return;
    if (!this.hadDamage) expect(this.files.names.filter((name) => name.includes("segment"))).toEqual([]);
  }
}

test("every lane hands out what was accepted and not acknowledged, in order, whatever happens", async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.boolean(), fc.nat(), async (list, fsync, seed) => {
      const model = new Model(fsync, seed);
      for (const step of list) await model.run(step);
      await model.finish();
    }),
    { numRuns: Number(process.env["DURABLE_RUNS"] ?? propertyRuns(150)) },
  );
});
