/** Targets from an endpoint: what is asked, what is accepted, what stays. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createHttpProvider, type HttpAnswer, type HttpGet, maxHttpSdBodyBytes } from "./http.ts";
import { recordingContext } from "./recording-context.ts";

const url = "http://sd.example/targets";
const config = { kind: "http", url, refreshIntervalMs: 60_000, http: {} } as const;

function answer(body: string, fields: Partial<HttpAnswer> = {}): HttpAnswer {
  return { status: 200, headers: { "content-type": "application/json" }, body: Buffer.from(body), ...fields };
}

function groupsOf(addresses: readonly string[]): string {
  return JSON.stringify(addresses.map((address) => ({ targets: [address] })));
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Runs a provider over these answers, one a refresh, and says what each refresh gave. */
async function run(answers: readonly (HttpAnswer | Error)[]) {
  const context = recordingContext();
  const requests: { url: string; headers: Readonly<Record<string, string>>; limit: number }[] = [];
  let closed = 0;
  const get: HttpGet = (target, headers, _signal, limit) => {
    requests.push({ url: target, headers, limit });
    const next = answers[requests.length - 1] ?? new Error("no more answers");
    return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
  };
  const close = () => {
    closed++;
  };
  const done = createHttpProvider(config, () => ({ get, close }))(context);
  for (let i = 0; i < answers.length; i++) {
    await context.nextUpdate();
    if (i + 1 < answers.length) await vi.advanceTimersByTimeAsync(60_000);
  }
  context.abort();
  await done;
  const seen = context.updates.map((groups) => groups.map(({ source, targets }) => [source, targets.length]));
  return { ...context, seen, requests, closed };
}

test("asks for JSON and says how often it will", async () => {
  const { requests, updates, closed } = await run([answer('[{"targets":["h:1"],"labels":{"a":"b"}}]')]);
  expect(requests).toEqual([
    {
      url,
      headers: { accept: "application/json", "x-prometheus-refresh-interval-seconds": "60" },
      limit: maxHttpSdBodyBytes,
    },
  ]);
  expect(updates).toEqual([
    [{ source: `${url}:0`, targets: [{ __address__: "h:1" }], labels: { a: "b", __meta_url: url } }],
  ]);
  expect(closed).toBe(1);
});

test("deletes the groups that a shorter list lacks, once", async () => {
  const { seen } = await run([answer(groupsOf(["a", "b", "c"])), answer(groupsOf(["a"])), answer(groupsOf(["a"]))]);
  expect(seen.slice(1)).toEqual([
    [
      [`${url}:0`, 1],
      [`${url}:1`, 0],
      [`${url}:2`, 0],
    ],
    [[`${url}:0`, 1]],
  ]);
});

describe("content types", () => {
  test.each(["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"'])(
    "accepts %s",
    async (type) => {
      const { seen } = await run([answer(groupsOf(["a"]), { headers: { "content-type": type } })]);
      expect(seen[0]).toHaveLength(1);
    },
  );
});

describe("keeps the old targets", () => {
  test.each([
    ["on a network error", new Error("connection refused"), /refused/],
    ["on another status", answer("[]", { status: 503 }), /HTTP status 503/],
    [
      "on another content type",
      answer("[]", { headers: { "content-type": "text/plain" } }),
      /unsupported content type/,
    ],
    ["without a content type", answer("[]", { headers: {} }), /unsupported content type ""/],
    [
      "on another charset",
      answer("[]", { headers: { "content-type": "application/json; charset=latin1" } }),
      /charset/,
    ],
    ["on what is no JSON", answer("<html>"), /not valid JSON/],
    ["on a null group", answer("[null]"), /group is null/],
    ["on too large a body", answer("", { body: new Uint8Array(maxHttpSdBodyBytes + 1) }), /exceeds/],
  ])("%s", async (_title, fault, message) => {
    const { seen, failures, logged } = await run([answer(groupsOf(["a", "b"])), fault, answer(groupsOf(["a"]))]);
    expect(seen[1]).toEqual([]);
    expect(seen[2]).toEqual([
      [`${url}:0`, 1],
      [`${url}:1`, 0],
    ]);
    expect(failures).toEqual(["http"]);
    expect(logged.map(({ fields }) => fields?.["error"])).toEqual([expect.stringMatching(message)]);
  });
});

test("gives up on an answer that takes longer than the interval", async () => {
  const context = recordingContext();
  const get: HttpGet = (_url, _headers, signal) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(new Error("aborted")));
    });
  const done = createHttpProvider(config, () => ({ get, close: () => {} }))(context);
  await vi.advanceTimersByTimeAsync(60_000);
  await context.nextUpdate();
  context.abort();
  await done;
  expect(context.logged[0]?.fields).toMatchObject({ error: "no answer within 60000 ms" });
});

test("tries again to make a client", async () => {
  const context = recordingContext();
  let attempts = 0;
  const provider = createHttpProvider(config, () => {
    if (++attempts === 1) throw new Error("certificate not readable");
    return { get: () => Promise.resolve(answer(groupsOf(["a"]))), close: () => {} };
  });
  const done = provider(context);
  await context.nextUpdate();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(await context.nextUpdate()).toHaveLength(1);
  context.abort();
  await done;
});

test("logs a lasting failure ever more rarely", async () => {
  const { logged } = await run(Array.from({ length: 9 }, () => new Error("down")));
  expect(logged.map(({ fields }) => fields?.["occurrences"] ?? 1)).toEqual([1, 2, 4, 8]);
});
