import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { tracesBatch } from "../../model/any-batch.ts";
import { metricsBatch } from "../../model/batch.ts";
import { ConsumeError } from "../../model/errors.ts";
import type { OtlpRequest } from "../../model/otlp-request.ts";
import { buildLogs, buildTraces } from "../../testing/build-otlp.ts";
import { buildSamples } from "../../testing/build-samples.ts";
import { createFakeClock } from "../../testing/fake-clock.ts";
import { createTestContext } from "../../testing/test-context.ts";
import { exportingFields } from "./config.ts";
import { createExporting } from "./exporting.ts";
import type { OutgoingRequest, SendAnswer } from "./send.ts";

const schema = z.strictObject(exportingFields({ timeoutMs: 5000 }));

interface Sent {
  readonly request: OutgoingRequest;
  /** The names of its spans or bodies of its log records. */
  readonly names: string[];
  answer(rejectedItems?: number): void;
  fail(permanent: boolean, retryAfterMs?: number): void;
}

const namesOf = (requests: readonly OtlpRequest[]) =>
  requests.flatMap(
    ({ bytes }) =>
      Buffer.from(bytes)
        .toString("latin1")
        .match(/item-[0-9a-z]+\./g) ?? [],
  );

/** An exporter whose requests the test answers itself, in `sent`, or that answers at once. */
function createSubject(
  section: object = {},
  {
    answers,
    maxBytes = Number.POSITIVE_INFINITY,
  }: { answers?: (request: OutgoingRequest) => SendAnswer; maxBytes?: number } = {},
) {
  const clock = createFakeClock();
  const kit = createTestContext({}, { id: "out", clock });
  const sent: Sent[] = [];
  const exporting = createExporting(kit.context, schema.parse(section), {
    maxBytes,
    random: () => 0.5,
    hashKey: { seed: 1, first: 0x9e3779b1, second: 0x85ebca6b },
    encode: (segments) => {
      const names = segments.flatMap((one) => Array.from((one as { values?: Float64Array }).values ?? []));
      const batch = buildLogs(names.map((value) => ({ body: `item-${value}.` })));
      return { ...(batch.requests[0] as OtlpRequest), signal: "metrics" };
    },
    send: (request, signal) => {
      const names = namesOf(request.requests);
      if (answers !== undefined) {
        sent.push({ request, names, answer() {}, fail() {} });
        return Promise.resolve(answers(request));
      }
      return new Promise((resolve, reject) => {
        signal.addEventListener("abort", () => reject(new Error("cut off")), { once: true });
        sent.push({
          request,
          names,
          answer: (rejectedItems = 0) => resolve({ rejectedItems }),
          fail: (permanent, retryAfterMs) =>
            reject(new ConsumeError("CONSUME_REFUSED", "the server refuses", { permanent, retryAfterMs })),
        });
      });
    },
  });
  const metric = (name: string) =>
    kit.meter
      .collect()
      .filter((one) => one.name === name)
      .flatMap(({ samples }) => samples)
      .reduce((sum, { value }) => sum + value, 0);
  return { exporting, sent, clock, metric, kit };
}

const spans = (...names: string[]) => buildTraces(names.map((name) => ({ name: `item-${name}.` })));
const of = (service: string, ...names: string[]) => {
  const resource = { "service.name": service };
  return buildTraces(names.map((name) => ({ name: `item-${name}.`, resource })));
};
const never = () => new AbortController().signal;

describe("the queue", () => {
  test("answers when the data is queued, and counts it as sent when it is delivered", async () => {
    const { exporting, sent, metric } = createSubject();
    await exporting.traces(spans("1", "2"));
    await turn();
    expect([sent.length, sent[0]?.names, metric("otelcol_exporter_queue_size")]).toEqual([
      1,
      ["item-1.", "item-2."],
      1,
    ]);
    sent[0]?.answer();
    await turn();
    expect([metric("otelcol_exporter_sent_spans"), metric("otelcol_exporter_queue_size")]).toEqual([2, 0]);
  });

  test("joins what waits while a request is under way", async () => {
    const { exporting, sent, clock } = createSubject();
    await exporting.traces(of("a", "1"));
    await turn();
    for (let i = 2; i < 6; i++) await exporting.traces(of(`other-${i}`, `${i}`));
    await turn();
    expect(sent).toHaveLength(1);
    sent[0]?.answer();
    await clock.advance(4);
    expect(sent).toHaveLength(1);
    await clock.advance(1);
    expect(sent.map(({ names }) => names.length)).toEqual([1, 4]);
  });

  test("small requests wait no longer than 10 ms for one that hangs", async () => {
    const { exporting, sent, clock } = createSubject();
    await exporting.traces(of("a", "1"));
    await turn();
    await exporting.traces(of("b", "2"));
    await clock.advance(9);
    expect(sent).toHaveLength(1);
    await clock.advance(2);
    expect(sent.map(({ names }) => names)).toEqual([["item-1."], ["item-2."]]);
  });

  test.each([
    ["requests", { queue_size: 2 }, 2],
    ["items", { queue_size: 5, sizer: "items" }, 2],
    ["bytes", { queue_size: 1000, max_bytes: 330 }, 2],
  ])("is full by %s: then nothing of a request is taken", async (_unit, queue, expected) => {
    const { exporting, metric } = createSubject({ sending_queue: queue });
    let taken = 0;
    const errors: unknown[] = [];
    for (let i = 0; i < 4; i++) {
      await exporting.traces(spans(`${i}`, `${i}x`)).then(
        () => taken++,
        (error: unknown) => errors.push(error),
      );
    }
    expect(taken).toBe(expected);
    expect(errors[0]).toMatchObject({ code: "CONSUME_QUEUE_FULL", permanent: false, retryAfterMs: 1000 });
    expect(metric("otelcol_exporter_enqueue_failed_spans")).toBe((4 - expected) * 2);
  });

  test("a request larger than the queue is refused for good", async () => {
    const { exporting } = createSubject({ sending_queue: { queue_size: 2, sizer: "items" } });
    await expect(exporting.traces(spans("1", "2", "3"))).rejects.toMatchObject({ permanent: true });
  });

  test("with block_on_overflow senders wait for room, in turn", async () => {
    const { exporting, sent, clock } = createSubject({ sending_queue: { queue_size: 1, block_on_overflow: true } });
    const done: number[] = [];
    for (let i = 0; i < 3; i++) void exporting.traces(of("a", `${i}`)).then(() => done.push(i));
    await clock.advance(10);
    expect(done).toEqual([0]);
    sent[0]?.answer();
    await clock.advance(10);
    expect(done).toEqual([0, 1]);
    sent[1]?.answer();
    await clock.advance(10);
    expect(done).toEqual([0, 1, 2]);
  });

  test.each([
    ["without a queue", { enabled: false }],
    ["with wait_for_result", { wait_for_result: true }],
  ])("%s the answer is that of the delivery", async (_title, queue) => {
    const { exporting, sent } = createSubject({ sending_queue: queue });
    const good = exporting.traces(of("a", "1"));
    await turn();
    sent[0]?.answer();
    await good;
    await turn();
    const bad = exporting.logs(buildLogs([{ body: "item-2." }]));
    await turn();
    sent[1]?.fail(true);
    await expect(bad).rejects.toMatchObject({ permanent: true, message: "the server refuses" });
  });

  test("an empty request is answered and not sent", async () => {
    const { exporting, sent } = createSubject();
    await exporting.traces(tracesBatch([{ signal: "traces", bytes: new Uint8Array(0), items: 0 }]));
    await exporting.metrics(metricsBatch([]));
    await turn();
    expect(sent).toEqual([]);
  });
});

describe("retries", () => {
  test("repeat with growing waits, at least as long as the server asks, and tell the senders how long", async () => {
    const { exporting, sent, clock } = createSubject({ sending_queue: { queue_size: 1 } });
    await exporting.traces(spans("1"));
    await turn();
    sent[0]?.fail(false);
    await turn();
    await expect(exporting.traces(spans("2"))).rejects.toMatchObject({ retryAfterMs: 5000 });
    await clock.advance(4999);
    expect(sent).toHaveLength(1);
    await clock.advance(1);
    expect(sent).toHaveLength(2);
    sent[1]?.fail(false, 20_000);
    await clock.advance(19_999);
    expect(sent).toHaveLength(2);
    await clock.advance(1);
    expect(sent).toHaveLength(3);
  });

  test.each([
    ["a refusal for good", {}, true, "rejected"],
    ["a failure where retries are off", { retry_on_failure: { enabled: false } }, false, "expired"],
    ["a failure after max_elapsed_time", { retry_on_failure: { max_elapsed_time: "30s" } }, false, "expired"],
  ])("end with %s: the data is dropped and counted", async (_title, section, permanent, reason) => {
    const { exporting, sent, clock, metric, kit } = createSubject(section);
    await exporting.traces(spans("1", "2"));
    for (let i = 0; i < 20; i++) {
      await clock.advance(5000);
      sent.at(-1)?.fail(permanent);
    }
    await clock.advance(0);
    expect([metric("otelcol_exporter_send_failed_spans"), metric("otelcol_exporter_queue_size")]).toEqual([2, 0]);
    const drops = kit.meter.collect().find(({ name }) => name === "otelcol_exporter_dropped_items");
    expect(drops?.samples.map(({ labels, value }) => [labels["reason"], value])).toEqual([[reason, 2]]);
    expect(kit.log.entries.filter(({ level }) => level === "error")).toHaveLength(1);
    expect(kit.host.reported[0]).toMatchObject({ state: "recoverable" });
  });

  test("of joined requests that are refused, each is tried alone", async () => {
    const { exporting, sent, clock, metric } = createSubject({ sending_queue: { wait_for_result: true } });
    const answers: string[] = [];
    for (const name of ["1", "2", "3"]) {
      void exporting.traces(of(name, name)).then(
        () => answers.push(`${name} taken`),
        () => answers.push(`${name} refused`),
      );
    }
    for (let i = 0; i < 4; i++) {
      await clock.advance(20);
      const last = sent.at(-1);
      if (last?.names.includes("item-2.")) last.fail(true);
      else last?.answer();
    }
    await clock.advance(0);
    expect(sent.map(({ names }) => names.length)).toEqual([3, 1, 1, 1]);
    expect(answers.sort()).toEqual(["1 taken", "2 refused", "3 taken"]);
    expect([metric("otelcol_exporter_sent_spans"), metric("otelcol_exporter_send_failed_spans")]).toEqual([2, 1]);
  });

  test("a server that refuses everything is not asked for each of them", async () => {
    const { exporting, sent, clock, metric } = createSubject();
    for (let i = 0; i < 50; i++) await exporting.traces(of(`${i}`, `${i}`));
    for (let i = 0; i < 60; i++) {
      await clock.advance(1);
      sent.at(-1)?.fail(true);
    }
    expect([sent.length, metric("otelcol_exporter_send_failed_spans")]).toEqual([4, 50]);
  });

  test("items that the server did not take of a request it took are counted as failed", async () => {
    const { exporting, sent, metric } = createSubject();
    await exporting.traces(spans("1", "2", "3"));
    await turn();
    sent[0]?.answer(2);
    await turn();
    expect([metric("otelcol_exporter_sent_spans"), metric("otelcol_exporter_send_failed_spans")]).toEqual([1, 2]);
  });
});

describe("the size of requests", () => {
  test("batch joins up to min_size or flush_timeout", async () => {
    const { exporting, sent, clock } = createSubject({ sending_queue: { batch: { min_size: 3 } } });
    await exporting.traces(of("a", "1"));
    await exporting.traces(of("b", "2"));
    await turn();
    expect(sent).toHaveLength(0);
    await exporting.traces(of("c", "3"));
    await turn();
    expect(sent.map(({ names }) => names.length)).toEqual([3]);
    await exporting.traces(of("d", "4"));
    await clock.advance(199);
    expect(sent).toHaveLength(1);
    await clock.advance(1);
    expect(sent).toHaveLength(2);
  });

  test.each([
    ["max_size in items", { batch: { min_size: 1, max_size: 2 } }, undefined],
    ["max_size in bytes", { batch: { min_size: 1, max_size: 170, sizer: "bytes" } }, undefined],
    ["the exporter's own limit", {}, 170],
  ])("larger requests are cut by %s", async (_title, queue, maxBytes) => {
    const answers = () => ({ rejectedItems: 0 });
    const { exporting, sent, clock } = createSubject({ sending_queue: queue }, { answers, maxBytes: maxBytes ?? 1e9 });
    await exporting.traces(spans("1", "2", "3", "4", "5"));
    for (let i = 0; i < 5; i++) await clock.advance(20);
    expect(sent.map(({ names }) => names.length)).toEqual([2, 2, 1]);
    expect(sent.flatMap(({ names }) => names)).toEqual(["item-1.", "item-2.", "item-3.", "item-4.", "item-5."]);
  });
});

describe("the end", () => {
  test("sends what waits for more at once, and resolves when all is delivered", async () => {
    const { exporting, sent, metric } = createSubject({ sending_queue: { batch: null } });
    await exporting.traces(spans("1"));
    const ended = exporting.shutdown(never());
    await turn();
    sent[0]?.answer();
    await ended;
    expect(metric("otelcol_exporter_sent_spans")).toBe(1);
    await expect(exporting.traces(spans("2"))).rejects.toMatchObject({ code: "CONSUME_SHUTDOWN" });
  });

  test("drops and counts at the deadline what is under way and what waits", async () => {
    const { exporting, sent, metric, clock } = createSubject({ sending_queue: { num_consumers: 1 } });
    await exporting.traces(of("a", "1"));
    await turn();
    await exporting.traces(of("b", "2"));
    const deadline = new AbortController();
    const ended = exporting.shutdown(deadline.signal);
    await turn();
    deadline.abort();
    await ended;
    expect([sent.length, metric("otelcol_exporter_send_failed_spans"), clock.sleepers]).toEqual([1, 2, 0]);
  });

  test("senders who wait for room are refused", async () => {
    const { exporting } = createSubject({ sending_queue: { queue_size: 1, block_on_overflow: true } });
    await exporting.traces(spans("1"));
    const waiting = expect(exporting.traces(spans("2"))).rejects.toMatchObject({ code: "CONSUME_SHUTDOWN" });
    await exporting.shutdown(AbortSignal.abort());
    await waiting;
  });
});

describe("order", () => {
  test("samples of a target travel in its lane", async () => {
    const { exporting, sent, clock } = createSubject();
    const sample = (lane: number, value: number) => buildSamples([{ name: "m", value }], { lane });
    await exporting.metrics(sample(1, 1));
    await clock.advance(20);
    await exporting.metrics(sample(1, 2));
    await exporting.metrics(sample(2, 3));
    await clock.advance(20);
    expect(sent.map(({ names }) => names)).toEqual([["item-1."], ["item-3."]]);
    sent[0]?.answer();
    await clock.advance(20);
    expect(sent[2]?.names).toEqual(["item-2."]);
  });

  test("what a resource sends arrives in order, once, whatever fails in between", async () => {
    const step = fc.record({ resource: fc.nat({ max: 5 }), count: fc.integer({ min: 1, max: 4 }) });
    const config = fc.record({
      num_consumers: fc.constantFrom(1, 2, 10),
      batch: fc.constantFrom(undefined, { min_size: 3, max_size: 5 }, { min_size: 1, max_size: 1 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 30 }),
        config,
        fc.infiniteStream(fc.nat(2)),
        async (steps, queue, luck) => {
          const { exporting, sent, clock } = createSubject({
            sending_queue: queue,
            retry_on_failure: { initial_interval: "50ms", max_interval: "100ms", max_elapsed_time: 0 },
          });
          const wanted = new Map<number, string[]>();
          const arrived: string[] = [];
          let answered = 0;
          const answer = () => {
            for (; answered < sent.length; answered++) {
              if (luck.next().value === 0) sent[answered]?.fail(false);
              else {
                arrived.push(...(sent[answered]?.names ?? []));
                sent[answered]?.answer();
              }
            }
          };
          for (const [index, { resource, count }] of steps.entries()) {
            const names = Array.from({ length: count }, (_, i) => `${resource}x${index}x${i}`);
            wanted.set(resource, [...(wanted.get(resource) ?? []), ...names.map((name) => `item-${name}.`)]);
            await exporting.traces(of(`s${resource}`, ...names));
            if (index % 3 === 0) await turn();
            if (index % 4 === 0) answer();
          }
          for (let i = 0; i < 2000 && arrived.length < [...wanted.values()].flat().length; i++) {
            await clock.advance(200);
            answer();
          }
          for (const [resource, names] of wanted) {
            expect(arrived.filter((name) => name.startsWith(`item-${resource}x`))).toEqual(names);
          }
          expect(arrived).toHaveLength([...wanted.values()].flat().length);
        },
      ),
      { numRuns: 30 },
    );
  });
});
