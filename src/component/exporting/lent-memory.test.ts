/** Requests in memory that is used again: no sink ever sees the bytes of another request, however slow it is. */

import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { normalPoints } from "../../../test/kit/otlp-normal.ts";
import { decodeOtlp, encodeOtlp } from "../../../test/kit/otlp-proto.ts";
import { MetricsDecoder } from "../../codec/otlp/decode-metrics.ts";
import { MetricsEncoder } from "../../codec/otlp/encode-metrics.ts";
import { metricsSegment } from "../../codec/otlp/metrics-segment.ts";
import { type MetricsBatch, metricsBatch } from "../../model/batch.ts";
import { ConsumeError } from "../../model/errors.ts";
import { Identities } from "../../model/identities.ts";
import { createFakeClock } from "../../testing/fake-clock.ts";
import { createTestContext } from "../../testing/test-context.ts";
import { mapSeries } from "../map-series.ts";
import { exportingFields } from "./config.ts";
import { createExporting } from "./exporting.ts";
import { sendAndGiveBack } from "./lent-memory.ts";
import type { SendAnswer } from "./send.ts";

const schema = z.strictObject(exportingFields({ timeoutMs: 5000 }));

/** One of the clients; of each the requests have one shape. */
function requestBytes(client: number, round: number): Uint8Array {
  const dataPoints = [0, 1, 2].map((point) => ({
    timeUnixNano: String(1_000_000 + round),
    asDouble: round + point / 4,
    attributes: [{ key: "point", value: { stringValue: String(point) } }],
  }));
  const resource = { attributes: [{ key: "client", value: { stringValue: String(client) } }] };
  const scopeMetrics = [{ metrics: [{ name: "g", gauge: { dataPoints } }] }];
  return encodeOtlp("metrics", { resourceMetrics: [{ resource, scopeMetrics }] });
}

/** A pipeline that adds an attribute to unopened requests of known shapes, twice. */
function createPipeline() {
  const decoder = new MetricsDecoder(new Identities());
  const steps = ["first", "second"].map((key) =>
    mapSeries((series) => ({ ...series, attributes: new Map([...series.attributes, [key, "yes"]]) }), {
      dropped: () => {},
    }),
  );
  return async (bytes: Uint8Array): Promise<MetricsBatch> => {
    const { request, shape } = decoder.open(bytes);
    let batch = metricsBatch([metricsSegment(request, decoder, shape)]);
    for (const step of steps) {
      let result = batch;
      await step(batch, {
        metrics: (mapped) => {
          result = mapped;
          return Promise.resolve();
        },
      });
      batch = result;
    }
    return batch;
  };
}

type Ending = "sent" | "answered early" | "try again" | "refused";

interface Attempt {
  /** Their memory, and what was in it when the attempt began. */
  readonly pieces: readonly { readonly bytes: Uint8Array; readonly was: Buffer }[];
  end(how: Ending): void;
}

/** An exporter whose attempts the test ends. */
function createSubject(saysSent: boolean) {
  const clock = createFakeClock();
  const attempts: Attempt[] = [];
  const { context } = createTestContext({}, { id: "out", clock });
  const exporting = createExporting(context, schema.parse({}), {
    maxBytes: Number.POSITIVE_INFINITY,
    random: () => 0.5,
    saysSent,
    send: ({ requests }) =>
      new Promise<SendAnswer>((resolve, reject) => {
        const pieces = requests.map(({ bytes }) => ({ bytes, was: Buffer.from(bytes) }));
        const refuse = (permanent: boolean) => reject(new ConsumeError("CONSUME_REJECTED", "no", { permanent }));
        attempts.push({
          pieces,
          end(how) {
            if (how === "try again" || how === "refused") refuse(how === "refused");
            else resolve({ rejectedItems: 0, isSent: how === "sent" });
          },
        });
      }),
  });
  return { exporting, attempts, clock };
}

const isUnchanged = ({ pieces }: Attempt) => pieces.every(({ bytes, was }) => was.equals(bytes));
const pointsOf = (bytes: Uint8Array) => JSON.stringify(normalPoints(decodeOtlp("metrics", bytes)));

describe("requests that two exporters send from memory that is used again", () => {
  const action = fc.oneof(
    fc.record({ kind: fc.constant("request" as const), client: fc.nat(2) }),
    fc.record({
      kind: fc.constant("end" as const),
      // The second exporter is slow: its attempts rarely end.
      exporter: fc.constantFrom(0, 0, 0, 1),
      which: fc.nat(),
      how: fc.constantFrom<Ending>("sent", "sent", "sent", "answered early", "try again", "refused"),
    }),
  );

  test("never change while anybody may read them, and are those that were made", async () => {
    const run = async (actions: readonly (typeof action extends fc.Arbitrary<infer T> ? T : never)[]) => {
      const subjects = [createSubject(true), createSubject(true)];
      const pipeline = createPipeline();
      const encoder = new MetricsEncoder();
      const expected = new Set<string>();
      /** What is still read by a socket although its attempt is over. */
      const left: Attempt[] = [];
      const seen = subjects.map(() => new Set<string>());
      const settle = async () => {
        for (const [i, { clock, attempts }] of subjects.entries()) {
          for (let k = 0; k < 3; k++) {
            await clock.advance(10);
            await turn();
          }
          for (const { pieces } of attempts) for (const { was } of pieces) seen[i]?.add(pointsOf(was));
          expect(attempts.every(isUnchanged)).toBe(true);
        }
        expect(left.every(isUnchanged)).toBe(true);
      };
      const end = (exporter: number, which: number, how: Ending) => {
        const attempts = subjects[exporter]?.attempts ?? [];
        const [attempt] = attempts.splice(which % Math.max(1, attempts.length), 1);
        if (attempt === undefined) return;
        if (how !== "sent") left.push(attempt);
        attempt.end(how);
      };
      const send = async (client: number, round: number) => {
        const batch = await pipeline(requestBytes(client, round));
        for (const { exporting } of subjects) await exporting.metrics(batch);
        expected.add(pointsOf(encoder.encode(batch.segments).bytes));
      };
      let round = 1;
      // Both mappings know the shape of each client by then.
      for (; round < 6; round++) for (const client of [0, 1, 2]) await send(client, round);
      for (const one of actions) {
        if (one.kind === "request") await send(one.client, round++);
        else end(one.exporter, one.which, one.how);
        await settle();
      }
      for (let k = 0; k < 100 && seen.some(({ size }) => size < expected.size); k++) {
        for (const [i] of subjects.entries()) end(i, 0, "sent");
        await settle();
        for (const { clock } of subjects) await clock.advance(30_000);
      }
      await settle();
      for (const one of seen) expect([...one].sort()).toEqual([...expected].sort());
    };
    await fc.assert(fc.asyncProperty(fc.array(action, { maxLength: 60 }), run), { numRuns: 30 });
  });

  test("come from the memory of requests that were sent", async () => {
    const { exporting, attempts, clock } = createSubject(true);
    const pipeline = createPipeline();
    const memories = new Set<ArrayBufferLike>();
    for (let round = 1; round < 20; round++) {
      await exporting.metrics(await pipeline(requestBytes(0, round)));
      await clock.advance(10);
      await turn();
      const [attempt] = attempts.splice(0);
      for (const { bytes, was } of attempt?.pieces ?? []) {
        expect(pointsOf(was)).toContain(String(1_000_000 + round));
        if (round > 6) memories.add(bytes.buffer);
      }
      attempt?.end("sent");
      await turn();
    }
    expect(memories.size).toBe(1);
  });

  test("are shared where an exporter does not say when they are sent", async () => {
    const subjects = [createSubject(false), createSubject(false)];
    const pipeline = createPipeline();
    let batch = await pipeline(requestBytes(0, 0));
    for (let round = 1; round < 7; round++) batch = await pipeline(requestBytes(0, round));
    for (const { exporting, clock } of subjects) {
      await exporting.metrics(batch);
      await clock.advance(10);
      await turn();
    }
    const [first, second] = subjects.map(({ attempts }) => attempts[0]?.pieces[0]?.bytes);
    expect(first).toBe(second);
  });
});

describe("memory is given back", () => {
  const failed = new Error("no");
  test.each<[string, SendAnswer | Error, number]>([
    ["by an attempt that sent all", { rejectedItems: 0, isSent: true }, 1],
    ["not by one whose answer came early", { rejectedItems: 0, isSent: false }, 0],
    ["not by one that does not say", { rejectedItems: 0 }, 0],
    ["not by one that failed", failed, 0],
  ])("%s, and by none after it", async (_title, outcome, expected) => {
    let given = 0;
    const queued = [{ giveBack: () => void given++ }, {}];
    const attempt = () => (outcome instanceof Error ? Promise.reject(outcome) : Promise.resolve(outcome));
    await sendAndGiveBack(attempt, queued).catch((error: unknown) => expect(error).toBe(failed));
    expect(given).toBe(expected);
    await sendAndGiveBack(() => Promise.resolve({ rejectedItems: 0, isSent: true }), queued);
    expect(given).toBe(expected);
  });
});
