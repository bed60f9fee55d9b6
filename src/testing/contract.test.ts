import { createSocket, type Socket } from "node:dgram";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import type { MetricsConsumer } from "../component/consumer.ts";
import {
  type AnyDefinition,
  type CreateContext,
  defineConnector,
  defineExtension,
  defineProcessor,
  type Processor,
} from "../component/define.ts";
import type { MetricsBatch } from "../model/batch.ts";
import { ConsumeError } from "../model/errors.ts";
import { type ContractOptions, contractTests } from "./contract.ts";

const pass = async (batch: MetricsBatch, next: MetricsConsumer) => next.metrics(batch);

function processorWith(create: (context: CreateContext<object>) => Processor, more: object = {}): AnyDefinition {
  return defineProcessor({
    type: "faulty",
    stability: { metrics: "beta" },
    config: z.strictObject({}),
    create,
    ...more,
  });
}

/** The numbers of the rules that a component breaks. */
async function broken(definition: AnyDefinition, options: ContractOptions = {}): Promise<number[]> {
  const numbers: number[] = [];
  for (const { number, run } of contractTests(definition, options)) {
    await run().catch(() => numbers.push(number));
  }
  return numbers;
}

describe("contractTests", () => {
  test("finds nothing wrong with a processor that passes data on", async () => {
    expect(await broken(processorWith(() => ({ metrics: pass })))).toEqual([]);
  });

  test("leaves rules about data out for components that take none", () => {
    const extension = defineExtension({ type: "none", config: z.strictObject({}), create: () => ({}) });
    expect(contractTests(extension).map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6, 7, 15]);
  });

  const held: Socket[] = [];
  const faults: { title: string; rules: number[]; definition: AnyDefinition; options?: ContractOptions }[] = [
    { title: "a type in camel case", rules: [1], definition: processorWith(() => ({ metrics: pass }), { type: "aB" }) },
    {
      title: "a connector without signals",
      rules: [1],
      definition: defineConnector({
        type: "none",
        pairs: [],
        config: z.strictObject({}),
        create: ({ next }) => ({ metrics: (batch) => next.metrics(batch) }),
      }),
    },
    {
      title: "a key without a description, deep inside",
      rules: [2],
      definition: processorWith(() => ({ metrics: pass }), {
        config: z.strictObject({
          a: z
            .array(z.strictObject({ b: z.string().optional() }))
            .default([])
            .describe("A list."),
        }),
      }),
    },
    {
      title: "an object that lets unknown keys pass",
      rules: [3],
      definition: processorWith(() => ({ metrics: pass }), { config: z.object({}) }),
    },
    {
      title: "an example that its schema refuses",
      rules: [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
      definition: processorWith(() => ({ metrics: pass })),
      options: { example: { a: 1 } },
    },
    {
      title: "a socket opened by create and never closed",
      rules: [5, 7],
      definition: processorWith(() => {
        held.push(createSocket("udp4").bind(0, "127.0.0.1"));
        return { metrics: pass };
      }),
    },
    {
      title: "a shutdown that needs a start",
      rules: [6, 15],
      definition: processorWith(() => {
        let started = false;
        return {
          metrics: pass,
          async start() {
            started = true;
          },
          async shutdown() {
            if (!started) throw new Error("not started");
          },
        };
      }),
    },
    {
      title: "data that is dropped silently",
      rules: [8, 9, 10, 11],
      definition: processorWith(() => ({ metrics: async () => {} })),
    },
    {
      title: "data that is handed on twice",
      rules: [8, 11],
      definition: processorWith(() => ({
        metrics: async (batch, next) => {
          await next.metrics(batch);
          await next.metrics(batch);
        },
      })),
    },
    {
      title: "errors that are swallowed",
      rules: [9, 10, 11],
      definition: processorWith(() => ({ metrics: (batch, next) => next.metrics(batch).catch(() => {}) })),
    },
    {
      title: "a refusal for now that becomes one for good",
      rules: [9],
      definition: processorWith(() => ({
        metrics: (batch, next) =>
          next.metrics(batch).catch(() => {
            throw new ConsumeError("CONSUME_REJECTED", "no", { permanent: true });
          }),
      })),
    },
    {
      title: "a batch that is changed",
      rules: [8, 9, 10, 11, 12],
      definition: processorWith(() => ({
        async metrics(batch, next) {
          const [segment] = batch.segments;
          if (segment?.form === "samples") segment.values[0] = 1e6;
          if (segment?.form === "points" && segment.kind === "number") segment.doubles.fill(1e7);
          await next.metrics(batch).catch(() => {});
        },
      })),
    },
    {
      title: "a metric without a known prefix",
      rules: [15],
      definition: processorWith(({ meter }) => {
        meter.counter("my_counter", { help: "Counts." });
        return { metrics: pass };
      }),
    },
  ];
  test.each(faults)("finds $title", async ({ definition, rules, options }) => {
    const found = await broken(definition, options);
    for (const socket of held.splice(0)) socket.close();
    expect(found).toEqual(rules);
  });

  test("finds a shutdown that does not end by its deadline", async () => {
    const definition = processorWith(() => {
      let last: Promise<void> | undefined;
      return {
        metrics: (batch, next) => (last = next.metrics(batch)),
        shutdown: async () => last?.catch(() => {}),
      };
    });
    const rule = contractTests(definition).find(({ number }) => number === 14);
    await expect(rule?.run()).rejects.toThrow("deadline");
  });
});
