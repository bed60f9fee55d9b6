/** Sharing, reloading and throttling of discovery. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { DnsSource } from "./dns.ts";
import type { HttpAnswer } from "./http.ts";
import { DiscoveryManager } from "./manager.ts";
import type { SdConfig } from "./sd-config.ts";
import { groupOfAddresses, toLabels } from "./target-group.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(async () => {
  await manager.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

function statics(...addresses: string[]): SdConfig {
  return { kind: "static", groups: [groupOfAddresses("0", addresses, toLabels([]))] };
}

function http(path: string, refreshIntervalMs = 60_000): SdConfig {
  return { kind: "http", url: `http://sd/${path}`, refreshIntervalMs, http: {} };
}

let updates: [job: string, addresses: string][] = [];
let counts: [job: string, count: number][] = [];
let logged: string[] = [];
let requests: string[] = [];
let clientsClosed = 0;
let answers = new Map<string, PromiseWithResolvers<HttpAnswer>>();
let manager = createManager(() => {});

function createManager(onUpdate: (job: string) => void): DiscoveryManager {
  [updates, counts, logged, requests, clientsClosed, answers] = [[], [], [], [], 0, new Map()];
  const note = (message: string) => {
    logged.push(message);
  };
  const dns: DnsSource = {
    createResolver: () => {
      throw new Error("no resolver");
    },
    readResolvConf: () => Promise.resolve(""),
  };
  return new DiscoveryManager({
    onUpdate(job, groups) {
      const addresses = groups.flatMap(({ targets }) => targets.map((target) => target["__address__"]));
      updates.push([job, addresses.join(",")]);
      onUpdate(job);
    },
    createHttpClient: () => ({
      get: (url) => {
        requests.push(url);
        const answer = Promise.withResolvers<HttpAnswer>();
        answers.set(url, answer);
        return answer.promise;
      },
      close: () => {
        clientsClosed++;
      },
    }),
    log: { warn: note, error: note },
    metrics: { discoveredTargets: (job, count) => counts.push([job, count]) },
    dns,
  });
}

async function respond(path: string, ...addresses: string[]): Promise<void> {
  const body = Buffer.from(JSON.stringify([{ targets: addresses }]));
  answers.get(`http://sd/${path}`)?.resolve({ status: 200, headers: { "content-type": "application/json" }, body });
  await vi.advanceTimersByTimeAsync(0);
}

async function apply(jobs: Record<string, readonly SdConfig[]>): Promise<void> {
  manager.apply(new Map(Object.entries(jobs)));
  await vi.advanceTimersByTimeAsync(0);
}

function takeUpdates(): [string, string][] {
  return updates.splice(0);
}

beforeEach(() => {
  manager = createManager(() => {});
});

describe("updates", () => {
  test("give every job its targets at once", async () => {
    await apply({
      a: [statics("1"), statics("2", "3")],
      b: [statics("4")],
      none: [],
      later: [{ kind: "later", key: "x" }],
    });
    expect(takeUpdates()).toEqual([
      ["a", "1,2,3"],
      ["b", "4"],
      ["none", ""],
      ["later", ""],
    ]);
    expect(counts).toEqual([
      ["a", 3],
      ["b", 1],
      ["none", 0],
      ["later", 0],
    ]);
  });

  test("wait 100 ms after the first, and twice as long each time, up to five seconds", async () => {
    await apply({ a: [http("a", 10)] });
    const started = Date.now();
    const times: number[] = [];
    for (let i = 0; times.length < 9; i++) {
      await respond("a", String(i));
      if (takeUpdates().length > 0) times.push(Date.now() - started);
      await vi.advanceTimersByTimeAsync(10);
      if (takeUpdates().length > 0) times.push(Date.now() - started);
    }
    expect(times).toEqual([0, 100, 300, 700, 1500, 3100, 6300, 11300, 16300]);
  });

  test("come at once again after a quiet step", async () => {
    await apply({ a: [http("a", 1000)] });
    await respond("a", "1");
    await vi.advanceTimersByTimeAsync(1000);
    await respond("a", "2");
    expect(takeUpdates()).toEqual([
      ["a", "1"],
      ["a", "2"],
    ]);
  });

  test("are not made for groups that did not change", async () => {
    await apply({ a: [http("a", 1000)] });
    await respond("a", "1");
    takeUpdates();
    await vi.advanceTimersByTimeAsync(1000);
    await respond("a", "1");
    expect([requests.length, takeUpdates()]).toEqual([2, []]);
  });

  test("that throw are logged and do no harm", async () => {
    manager = createManager(() => {
      throw new Error("bad day");
    });
    await apply({ a: [statics("1")], b: [statics("2")] });
    expect([updates.length, logged]).toEqual([2, ["targets were not accepted", "targets were not accepted"]]);
  });
});

describe("equal configurations", () => {
  test("share one provider over all jobs, whatever the order of their keys", async () => {
    await apply({
      a: [http("x")],
      b: [{ http: {}, url: "http://sd/x", refreshIntervalMs: 60_000, kind: "http" }, http("x")],
    });
    await respond("x", "1");
    expect(requests).toEqual(["http://sd/x"]);
    expect(takeUpdates()).toEqual([
      ["a", "1"],
      ["b", "1"],
    ]);
  });

  test("go on for one job when the other is gone", async () => {
    await apply({ a: [http("x")], b: [http("x")] });
    await respond("x", "1");
    await apply({ b: [http("x")] });
    expect([requests.length, clientsClosed, manager.groupsOf("b").length, manager.groupsOf("a").length]).toEqual([
      1, 0, 1, 0,
    ]);
  });
});

describe("a reload", () => {
  test("leaves what is the same running and tells every job its targets again", async () => {
    await apply({ a: [http("x"), statics("s")] });
    await respond("x", "1");
    await vi.advanceTimersByTimeAsync(150);
    takeUpdates();
    await apply({ a: [http("x"), statics("s")], b: [http("x")] });
    expect(takeUpdates()).toEqual([
      ["a", "1,s"],
      ["b", "1"],
    ]);
    expect([requests.length, clientsClosed]).toEqual([1, 0]);
  });

  test("keeps the targets of a changed provider until its successor has answered", async () => {
    await apply({ a: [http("x"), statics("s")] });
    await respond("x", "1");
    takeUpdates();
    await apply({ a: [http("x", 30_000), statics("t")] });
    expect(takeUpdates()).toEqual([["a", "t,1"]]);
    await vi.advanceTimersByTimeAsync(150);
    await respond("x", "2");
    expect(takeUpdates()).toEqual([["a", "2,t"]]);
    expect(clientsClosed).toBe(1);
  });

  test("keeps them no longer than until the successor's first failure", async () => {
    await apply({ a: [http("x")] });
    await respond("x", "1");
    await apply({ a: [http("y")] });
    await vi.advanceTimersByTimeAsync(150);
    takeUpdates();
    answers.get("http://sd/y")?.reject(new Error("down"));
    await vi.advanceTimersByTimeAsync(0);
    expect(takeUpdates()).toEqual([["a", ""]]);
  });

  test("drops the targets of a provider without a successor at once", async () => {
    await apply({ a: [http("x"), statics("s")] });
    await respond("x", "1");
    takeUpdates();
    await apply({ a: [statics("s")] });
    expect(takeUpdates()).toEqual([["a", "s"]]);
  });

  test("tells a job that lost its discovery so, and a removed job nothing", async () => {
    await apply({ a: [statics("1")], b: [statics("2")] });
    takeUpdates();
    await apply({ a: [] });
    expect(takeUpdates()).toEqual([["a", ""]]);
  });

  test("replaces static targets in one step", async () => {
    await apply({ a: [statics("1")] });
    takeUpdates();
    await apply({ a: [statics("2")] });
    expect(takeUpdates()).toEqual([["a", "2"]]);
  });
});

describe("close", () => {
  test("ends all updates, may be called twice and makes apply do nothing", async () => {
    await apply({ a: [http("x")], b: [statics("1")] });
    takeUpdates();
    await manager.close();
    answers.get("http://sd/x")?.reject(new Error("aborted"));
    await manager.close();
    await apply({ c: [statics("1")] });
    expect([takeUpdates(), clientsClosed]).toEqual([[], 1]);
  });

  test("before the first delivery delivers nothing", async () => {
    manager.apply(new Map([["a", [statics("1")]]]));
    await manager.close();
    expect(takeUpdates()).toEqual([]);
  });
});
