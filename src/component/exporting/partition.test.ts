import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { z } from "zod";
import { clientInfo } from "../../model/client-info.ts";
import { buildTraces } from "../../testing/build-otlp.ts";
import { createFakeClock } from "../../testing/fake-clock.ts";
import { createTestContext } from "../../testing/test-context.ts";
import { exportingFields } from "./config.ts";
import { createExporting } from "./exporting.ts";

const schema = z.strictObject(exportingFields({ timeoutMs: 5000 }));

/** The names of spans in each request that is sent for these tenants, each with a span `item-<tenant>.`. */
async function requestsFor(partition: object, tenants: readonly string[]): Promise<string[][]> {
  const clock = createFakeClock();
  const sent: string[][] = [];
  const config = schema.parse({ sending_queue: { batch: { min_size: 1000, flush_timeout: "1s", ...partition } } });
  const exporting = createExporting(createTestContext({}, { id: "out", clock }).context, config, {
    maxBytes: Number.POSITIVE_INFINITY,
    send: async ({ requests }) => {
      const text = Buffer.concat(requests.map(({ bytes }) => bytes)).toString("latin1");
      sent.push((text.match(/item-[a-z]+/g) ?? []).sort());
      return { rejectedItems: 0 };
    },
  });
  for (const [i, tenant] of tenants.entries()) {
    const client = clientInfo({ metadata: new Map([["x-tenant", [tenant]]]) });
    const batch = buildTraces([{ name: `item-${tenant}.`, resource: { "service.name": `${i}` } }]);
    await exporting.traces({ ...batch, client });
  }
  await turn();
  await clock.advance(1000);
  for (let i = 0; i < 4; i++) await turn();
  await exporting.shutdown(new AbortController().signal);
  return sent.sort();
}

test("requests of clients with other metadata are not joined", async () => {
  const sent = await requestsFor({ partition: { metadata_keys: ["X-Tenant"] } }, ["a", "b", "a"]);
  for (const names of sent) expect(new Set(names).size).toBe(1);
  expect(sent.flat().sort()).toEqual(["item-a", "item-a", "item-b"]);
});

test("without keys they are", async () => {
  expect(await requestsFor({}, ["a", "b"])).toEqual([["item-a", "item-b"]]);
});
