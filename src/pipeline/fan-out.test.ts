import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { consumeWith } from "../component/consumer.ts";
import { ConsumeError } from "../model/errors.ts";
import { createMetricsSink } from "../testing/sink.ts";
import { combineErrors, isConsumeError } from "./consume-errors.ts";
import { fanOut } from "./fan-out.ts";
import { createTestProcess } from "./test-graph.ts";

const { batch } = createTestProcess();

describe("fan-out", () => {
  test("hands the same batch to all", async () => {
    const sinks = [createMetricsSink(), createMetricsSink(), createMetricsSink()];
    const one = batch();
    await fanOut(sinks).metrics(one);
    for (const sink of sinks) expect(sink.batches[0]).toBe(one);
  });

  test("a branch that fails, at once or later, keeps no other from its data", async () => {
    const sink = createMetricsSink();
    const throwing = consumeWith(() => {
      throw new Error("at once");
    });
    await expect(fanOut([throwing, createMetricsSink("permanent"), sink]).metrics(batch())).rejects.toThrow("at once");
    expect(sink.batches).toHaveLength(1);
  });

  test("answers only when every branch has answered", async () => {
    const slow = Promise.withResolvers<void>();
    const sink = createMetricsSink();
    let isAnswered = false;
    const answer = fanOut([consumeWith(() => slow.promise), sink])
      .metrics(batch())
      .then(() => {
        isAnswered = true;
      });
    await new Promise(setImmediate);
    expect([isAnswered, sink.batches.length]).toEqual([false, 1]);
    slow.resolve();
    await answer;
  });
});

describe("combined errors", () => {
  const error = (permanent: boolean, retryAfterMs?: number) =>
    new ConsumeError(permanent ? "CONSUME_REJECTED" : "CONSUME_QUEUE_FULL", "no", { permanent, retryAfterMs });
  const cases = [
    { title: "one stays as it is", errors: [error(true)], permanent: true, code: "CONSUME_REJECTED" },
    { title: "all permanent", errors: [error(true), error(true)], permanent: true, code: "CONSUME_REJECTED" },
    { title: "any retryable", errors: [error(true), error(false, 5)], permanent: false, code: "CONSUME_QUEUE_FULL" },
    { title: "longest wait", errors: [error(false, 5), error(false, 9)], permanent: false, code: "CONSUME_QUEUE_FULL" },
  ];
  test.each(cases)("$title", ({ errors, permanent, code }) => {
    const waits = errors.map(({ retryAfterMs }) => retryAfterMs ?? 0);
    const combined = combineErrors(errors);
    expect([combined.permanent, combined.code]).toEqual([permanent, code]);
    expect(combined.retryAfterMs ?? 0).toBe(Math.max(...waits));
  });

  test.each([
    ["all of them left only parts out", [2, 5], 5],
    ["one refused everything", [2, undefined], undefined],
  ])("a part is told where %s", (_title, parts, rejectedItems) => {
    const errors = parts.map(
      (part) => new ConsumeError("CONSUME_REJECTED", "no", { permanent: true, rejectedItems: part }),
    );
    expect(combineErrors(errors).rejectedItems).toBe(rejectedItems);
  });

  test("an error of another copy of the class is one, others are not", () => {
    const foreign = Object.assign(new Error("x"), { code: "CONSUME_REFUSED", permanent: false });
    expect([isConsumeError(foreign), isConsumeError(new Error("x")), isConsumeError("x")]).toEqual([
      true,
      false,
      false,
    ]);
  });
});

describe("properties", () => {
  test("every branch gets every batch once; the answer is good exactly when all took it", async () => {
    const mode = fc.constantFrom("accept" as const, "retryable" as const, "permanent" as const, "mixed" as const);
    await fc.assert(
      fc.asyncProperty(
        fc.array(mode, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 8 }),
        async (modes, n) => {
          const sinks = modes.map((one) => createMetricsSink(one));
          const all = fanOut(sinks);
          for (let i = 0; i < n; i++) {
            const one = batch();
            const error = await all.metrics(one).then(
              () => undefined,
              (caught: unknown) => caught,
            );
            const refusals = sinks.filter((sink) => sink.refused.includes(one));
            const takers = sinks.filter((sink) => sink.taken.includes(one));
            expect(refusals.length + takers.length).toBe(sinks.length);
            expect(isConsumeError(error)).toBe(refusals.length > 0);
          }
          for (const sink of sinks) expect(sink.batches.length + sink.refused.length).toBe(n);
        },
      ),
      { numRuns: 50 },
    );
  });
});
