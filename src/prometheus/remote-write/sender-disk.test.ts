import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { perSeries, startDiskSender } from "../../../test/support/disk-sender.ts";
import { ForgetfulFiles } from "../../durable/test-forgetful-files.ts";

const times = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

test("delivers from disk in the order of each series", async () => {
  const { offer, idle, delivered, sender, disk } = await startDiskSender(new ForgetfulFiles(), () => 200);
  for (const time of times(1, 50)) await offer(time);
  await idle();
  const series = perSeries(delivered);
  expect(series.size).toBe(21);
  for (const got of series.values()) expect(got).toEqual(times(1, 50));
  await sender.shutdown(AbortSignal.timeout(1000));
  await disk.close();
});

test("an outage and kills lose nothing; what arrives twice was under way", async () => {
  const files = new ForgetfulFiles();
  const all: string[] = [];
  for (let round = 0; round < 20; round++) {
    const isDown = round % 3 === 0;
    const { offer, delivered, idle, die } = await startDiskSender(files, () => (isDown ? 503 : 200));
    for (const time of times(round * 10 + 1, round * 10 + 10)) await offer(time);
    if (round === 19) await idle();
    else for (let turns = (round * 7) % 60; turns > 0; turns--) await setImmediate();
    files.kill();
    die();
    all.push(...delivered);
  }
  const series = perSeries(all);
  let doubled = 0;
  for (const got of series.values()) {
    expect([...new Set(got)].sort((a, b) => a - b)).toEqual(times(1, 200));
    // Nothing new comes before something older: a repeat goes back, and from there on in order.
    const first = got.filter((time, i) => got.indexOf(time) === i);
    expect(first).toEqual(times(1, 200));
    doubled += got.length - 200;
  }
  // Three requests of at most ten samples at each of nineteen kills.
  expect(doubled).toBeLessThanOrEqual(19 * 30);
});

test("a shutdown during an outage ends at once, counts nothing as lost, and the next start delivers", async () => {
  const files = new ForgetfulFiles();
  const first = await startDiskSender(files, () => 503);
  await first.offer(1);
  for (let i = 0; i < 20; i++) await setImmediate();
  await first.sender.shutdown(AbortSignal.timeout(30_000));
  await first.disk.close();
  expect(first.dropped).toEqual([]);
  const second = await startDiskSender(files, () => 200);
  await second.idle();
  expect(second.delivered.length).toBe(21);
});

test("after an outage that ended with a refusal, a shutdown delivers what waits", async () => {
  let status: number | Promise<number> = 503;
  const { offer, idle, dropped, delivered, sender, disk } = await startDiskSender(new ForgetfulFiles(), () => status);
  await offer(1);
  for (let i = 0; i < 20; i++) await setImmediate();
  status = 400;
  await idle();
  expect(dropped.length).toBeGreaterThan(0);
  const answer = Promise.withResolvers<number>();
  status = answer.promise;
  for (const time of times(2, 12)) await offer(time);
  while (sender.inFlight === 0) await setImmediate();
  const ended = sender.shutdown(AbortSignal.timeout(30_000));
  for (let i = 0; i < 20; i++) await setImmediate();
  answer.resolve(200);
  await ended;
  expect(perSeries(delivered).size).toBe(21);
  expect(disk.stats().records).toBe(0);
  await disk.close();
});

test("what is refused for good is counted and not sent again", async () => {
  const files = new ForgetfulFiles();
  const first = await startDiskSender(files, () => 400);
  await first.offer(1);
  await first.idle();
  expect(first.dropped.length).toBeGreaterThan(0);
  files.kill();
  expect((await startDiskSender(files, () => 200)).disk.stats().records).toBe(0);
});

test("a successor goes on with the same queue, and what comes meanwhile keeps its place", async () => {
  const files = new ForgetfulFiles();
  const first = await startDiskSender(files, async () => {
    await setImmediate();
    return 200;
  });
  for (const time of times(1, 20)) await first.offer(time);
  const ended = first.sender.shutdown(AbortSignal.timeout(30_000), true);
  const second = await startDiskSender(files, () => 200, { before: { ...first, ended } });
  for (const time of times(21, 30)) await second.offer(time);
  await second.idle();
  const all = perSeries([...first.delivered, ...second.delivered]);
  expect(all.size).toBe(21);
  for (const got of all.values()) expect(got).toEqual(times(1, 30));
  expect(second.delivered.length).toBeGreaterThan(0);
});

/** Of three senders of one queue each ends when the next begins, as reloads in a row make them. */
async function handOnTwice(turnsBetween: number) {
  const files = new ForgetfulFiles();
  const answer = Promise.withResolvers<number>();
  const first = await startDiskSender(files, () => answer.promise);
  for (const time of times(1, 20)) await first.offer(time);
  while (first.sender.inFlight === 0) await setImmediate();
  const firstEnded = first.sender.shutdown(AbortSignal.timeout(30_000), true);
  const second = await startDiskSender(files, () => 200, { before: { ...first, ended: firstEnded } });
  const goOn = async () => {
    for (let turns = turnsBetween; turns > 0; turns--) await setImmediate();
  };
  if (turnsBetween > 0) answer.resolve(200);
  await goOn();
  const secondEnded = second.sender.shutdown(AbortSignal.timeout(30_000), true);
  const ended = Promise.all([firstEnded, secondEnded]).then(() => {});
  const third = await startDiskSender(files, () => 200, { before: { ...first, ended } });
  for (const time of times(21, 30)) await third.offer(time);
  if (turnsBetween === 0) expect(third.delivered).toEqual([]);
  answer.resolve(200);
  await third.idle();
  return perSeries([...first.delivered, ...second.delivered, ...third.delivered]);
}

test.each([0, 1, 2, 3, 4, 5, 8])(
  "a sender that is replaced %i turns after it began leaves the queue to the next",
  async (turns) => {
    const all = await handOnTwice(turns);
    expect(all.size).toBe(21);
    for (const got of all.values()) expect(got).toEqual(times(1, 30));
  },
);
