import { describe, expect, test } from "vitest";
import { createFakeClock } from "../../testing/fake-clock.ts";
import { createTestLogger } from "../../testing/test-context.ts";
import { FailureLog } from "./failure-log.ts";
import type { ScrapeTarget } from "./scrape-target.ts";

const targetAt = (jobName: string, url: string) => ({ jobName, url, identity: url }) as unknown as ScrapeTarget;
const first = targetAt("node", "http://user:hush@a:1/metrics");
const second = targetAt("node", "http://b:1/metrics");

function createKit() {
  const log = createTestLogger();
  const clock = createFakeClock(0);
  const failures = new FailureLog(log, clock);
  const logged = () => log.entries.map(({ fields }) => fields["err"]);
  return { failures, clock, log, logged };
}

describe("failures of a target", () => {
  test("are logged once each in five minutes, also where two take turns", async () => {
    const { failures, clock, log, logged } = createKit();
    for (let i = 0; i < 3; i++) for (const why of ["refused", "late"]) failures.scrapeFailed(first, new Error(why));
    failures.scrapeFailed(second, new Error("refused"));
    expect(logged()).toEqual(["refused", "late", "refused"]);
    await clock.advance(300_000);
    failures.scrapeFailed(first, new Error("refused"));
    expect(logged()).toEqual(["refused", "late", "refused", "refused"]);
    expect(JSON.stringify(log.entries)).not.toContain("hush");
  });

  test("that are never the same are logged four times in five minutes", async () => {
    const { failures, clock, logged } = createKit();
    for (let i = 0; i < 100; i++) failures.scrapeFailed(first, new Error(`row ${i}`));
    expect(logged()).toEqual(["row 0", "row 1", "row 2", "row 3"]);
    await clock.advance(300_000);
    failures.scrapeFailed(first, new Error("row 100"));
    expect(logged()).toHaveLength(5);
  });
});

test("refused batches are logged once for a job, whatever their numbers and the reasons that take turns", () => {
  const { failures, logged } = createKit();
  for (let i = 0; i < 10; i++) {
    failures.batchRefused(i % 2 === 0 ? first : second, new Error(`queue is full (${i} of 5)`));
    failures.batchRefused(first, new Error("no more retries"));
  }
  expect(logged()).toEqual(["queue is full (0 of 5)", "no more retries"]);
});
