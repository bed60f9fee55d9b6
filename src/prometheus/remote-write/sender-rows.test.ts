/** Which rows leave: those that are not too old, and exemplars that are new. */

import { describe, expect, test } from "vitest";
import { createSenderKit, settled, startMs } from "../../../test/support/sender-kit.ts";
import type { SampleExemplar } from "../../model/batch.ts";

describe("the age limit", () => {
  const ages = (list: readonly number[]) => list.map((age) => startMs - age);

  test("takes every row out that is too old, wherever it stands, and leaves exemplars with their rows", async () => {
    const kit = createSenderKit({ sampleAgeLimitMs: 1000 });
    const exemplars = [1, 2, 3, 5].map((row) => ({ row, labels: [], value: row, timestampMs: undefined }));
    const segment = kit.segment("a=0 b=1 c=2 d=3 e=4 f=5", {
      timesMs: ages([2000, 0, 0, 5000, 1001, 1000]),
      exemplars,
    });
    await kit.offer([segment]);
    expect(kit.requests.flatMap(({ rows }) => rows).sort()).toEqual(["b#1", "b=1", "c#2", "c=2", "f#5", "f=5"]);
    expect(kit.counts).toMatchObject({ queued: 6, delivered: 3, dropped: 3 });
    expect([...new Set(kit.events.map((event) => event.split(" ")[0]))]).toEqual(["too_old"]);
  });

  test("drops rows that grew old in the queue, and a request whose newest row did", async () => {
    const kit = createSenderKit({ sampleAgeLimitMs: 1000, maxInFlight: 1 });
    kit.answer = () => ({ status: 503 });
    const deliveries = [kit.offer([kit.segment("a=1")]), kit.offer([kit.segment("b=1")])];
    await kit.clock.advance(2000);
    expect(await settled(deliveries[0] ?? Promise.resolve())).toBe("CONSUME_UNREACHABLE");
    expect(kit.counts).toMatchObject({ dropped: 2, delivered: 0 });
    expect(kit.events.filter((event) => !event.startsWith("retry"))).toEqual(["expired 1", "too_old 1"]);
    await Promise.allSettled(deliveries);
  });
});

describe("exemplars", () => {
  const one = (value: number, more: Partial<SampleExemplar> = {}): SampleExemplar => ({
    row: 0,
    labels: [["trace", "1"]],
    value,
    timestampMs: 5,
    ...more,
  });

  test("an exemplar that equals the last one of its series leaves once", async () => {
    const kit = createSenderKit();
    for (const value of [1, 1, 2, 1]) await kit.offer([kit.segment("a=1", { exemplars: [one(value)] })]);
    await kit.offer([kit.segment("b=1", { exemplars: [one(1)] })]);
    expect(kit.requests.flatMap(({ rows }) => rows).filter((row) => row.includes("#"))).toEqual([
      "a#1",
      "a#2",
      "a#1",
      "b#1",
    ]);
    expect(kit.counts.exemplars).toBe(4);
  });

  test("all leave where repeats are wanted, none where exemplars are not", async () => {
    for (const [options, count] of [
      [{ skipRepeatedExemplars: false }, 2],
      [{ sendExemplars: false }, 0],
    ] as const) {
      const kit = createSenderKit(options);
      for (const _ of [1, 2]) await kit.offer([kit.segment("a=1", { exemplars: [one(1)] })]);
      expect(kit.counts.exemplars).toBe(count);
    }
  });

  test("one with more than 128 characters of labels does not leave", async () => {
    const kit = createSenderKit();
    const labels = (length: number): [string, string][] => [["id", "\u{1f600}".repeat(length)]];
    await kit.offer([kit.segment("a=1", { exemplars: [one(1, { labels: labels(126) })] })]);
    await kit.offer([kit.segment("b=1", { exemplars: [one(1, { labels: labels(127) })] })]);
    expect(kit.counts.exemplars).toBe(1);
  });
});
