/** The life of a target's labels, in Prometheus' order, and what a scrape URL looks like. */

import { describe, expect, test } from "vitest";
import { compileRelabel, type RelabelRule } from "../relabel/relabel.ts";
import { populateTarget, resolveTargets, type TargetDefaults, type TargetRules } from "./target.ts";
import { type Labels, toLabels } from "./target-group.ts";
import { buildTargetUrl } from "./target-url.ts";

const defaults: TargetDefaults = {
  jobName: "node",
  scrapeIntervalText: "15s",
  scrapeTimeoutText: "10s",
  metricsPath: "/metrics",
  scheme: "http",
  params: {},
  convertClassicHistogramsToNhcb: false,
  alwaysScrapeClassicHistograms: true,
  scrapeNativeHistograms: false,
};

function parseDuration(text: string): number | undefined {
  if (text === "0") return 0;
  const match = /^(\d+)(ms|s|m)$/.exec(text);
  if (match === null) return undefined;
  return Number(match[1]) * (match[2] === "ms" ? 1 : match[2] === "s" ? 1000 : 60_000);
}

function rules(relabel: readonly Partial<RelabelRule>[] = [], overrides: Partial<TargetDefaults> = {}): TargetRules {
  const full = relabel.map((fields) => ({
    sourceLabels: [],
    separator: ";",
    regex: "(.*)",
    modulus: 0n,
    targetLabel: "",
    replacement: "$1",
    action: "replace" as const,
    ...fields,
  }));
  return { defaults: { ...defaults, ...overrides }, program: compileRelabel(full, "utf8"), parseDuration };
}

function labelsOf(labels: Record<string, string>): Labels {
  return toLabels(Object.entries(labels));
}

const set = (targetLabel: string, replacement: string): Partial<RelabelRule> => ({ targetLabel, replacement });

function populate(
  target: Record<string, string>,
  relabel: readonly Partial<RelabelRule>[] = [],
  overrides: Partial<TargetDefaults> = {},
  group: Record<string, string> = {},
) {
  return populateTarget(labelsOf(group), labelsOf(target), rules(relabel, overrides));
}

function expectTarget(...args: Parameters<typeof populate>) {
  const populated = populate(...args);
  if (populated.kind !== "target") throw new Error(`expected a target, got ${JSON.stringify(populated)}`);
  return populated.target;
}

describe("populateTarget", () => {
  test("adds the job's settings as labels and shows the public ones", () => {
    const target = expectTarget({ __address__: "host:9100", zone: "a" });
    expect(target.labels).toEqual([
      ["instance", "host:9100"],
      ["job", "node"],
      ["zone", "a"],
    ]);
    expect(Object.fromEntries(target.discoveredLabels)).toEqual({
      __address__: "host:9100",
      __always_scrape_classic_histograms__: "true",
      __convert_classic_histograms_to_nhcb__: "false",
      __metrics_path__: "/metrics",
      __scheme__: "http",
      __scrape_interval__: "15s",
      __scrape_native_histograms__: "false",
      __scrape_timeout__: "10s",
      job: "node",
      zone: "a",
    });
    expect(target).toMatchObject({
      url: { href: "http://host:9100/metrics", address: "host:9100", path: "/metrics", query: "", scheme: "http" },
      scrapeIntervalMs: 15_000,
      scrapeTimeoutMs: 10_000,
      alwaysScrapeClassicHistograms: true,
      convertClassicHistogramsToNhcb: false,
      scrapeNativeHistograms: false,
      unixSocketPath: undefined,
    });
  });

  test("prefers a label of the target, even an empty one, to one of the group", () => {
    const target = expectTarget(
      { __address__: "h", a: "target", b: "" },
      [],
      {},
      { a: "group", b: "group", c: "group" },
    );
    expect(Object.fromEntries(target.labels)).toEqual({ a: "target", c: "group", instance: "h", job: "node" });
  });

  test("prefers discovered labels to the job's settings", () => {
    const target = expectTarget({
      __address__: "h",
      job: "mine",
      instance: "i",
      __metrics_path__: "/m",
      __scheme__: "https",
      __scrape_interval__: "30s",
      __scrape_timeout__: "30s",
      __scrape_native_histograms__: "T",
    });
    expect(Object.fromEntries(target.labels)).toEqual({ instance: "i", job: "mine" });
    expect(target).toMatchObject({
      url: { href: "https://h/m" },
      scrapeIntervalMs: 30_000,
      scrapeTimeoutMs: 30_000,
      scrapeNativeHistograms: true,
    });
  });

  test("shows the first value of every parameter to relabeling", () => {
    const target = expectTarget(
      { __address__: "h", __param_b: "found" },
      [{ sourceLabels: ["__param_a", "__param_b"], targetLabel: "seen" }],
      { params: { a: ["1", "2"], b: ["3"], c: [] } },
    );
    expect(Object.fromEntries(target.labels)).toMatchObject({ seen: "1;found" });
    expect(target.url.query).toBe("a=1&a=2&b=found");
  });

  test("replaces the first value of a parameter only, sorts keys and keeps a parameter whose label was deleted", () => {
    const relabel = [set("__param_b", "x y&"), set("__param_a", ""), set("__param_new", "1")];
    const target = expectTarget({ __address__: "h" }, relabel, { params: { b: ["1", "2"], a: ["3"] } });
    expect(target.url.href).toBe("http://h/metrics?a=3&b=x+y%26&b=2&new=1");
  });

  test("drops the meta labels after relabeling and keeps the other internal ones inside", () => {
    const target = expectTarget({ __address__: "h", __meta_x: "v", __tmp: "t" }, [
      { sourceLabels: ["__meta_x"], targetLabel: "x" },
    ]);
    expect(Object.fromEntries(target.labels)).toEqual({ instance: "h", job: "node", x: "v" });
    const names = target.allLabels.map(([name]) => name);
    expect([names.includes("__meta_x"), names.includes("__tmp"), names.includes("__address__")]).toEqual([
      false,
      true,
      true,
    ]);
  });

  test("makes instance of the relabeled address and adds no port", () => {
    const target = expectTarget({ __address__: "a" }, [set("__address__", "b")]);
    expect(Object.fromEntries(target.labels)).toEqual({ instance: "b", job: "node" });
    expect(target.url.href).toBe("http://b/metrics");
  });

  test("names the socket to dial", () => {
    expect(expectTarget({ __address__: "h", __unix_socket__: "/run/s" }).unixSocketPath).toBe("/run/s");
  });

  test("takes the job's setting where a rule deleted a flag", () => {
    const target = expectTarget({ __address__: "h" }, [{ regex: "__always.*", action: "labeldrop" }]);
    expect(target.alwaysScrapeClassicHistograms).toBe(true);
  });

  test("reports a dropped target with what was discovered", () => {
    const populated = populate({ __address__: "h" }, [
      set("a", "1"),
      { sourceLabels: ["__address__"], regex: "h", action: "drop" },
    ]);
    expect(populated).toMatchObject({ kind: "dropped" });
    expect(JSON.stringify(populated)).not.toContain('"a"');
  });

  const refused: [string, Record<string, string>, Partial<RelabelRule>[]][] = [
    ["no address", {}, []],
    ["no address", { __address__: "h" }, [set("__address__", "")]],
    ['"h/x" is not a valid hostname', { __address__: "h/x" }, []],
    ['error parsing scrape interval: not a valid duration string: "1.5s"', { __scrape_interval__: "1.5s" }, []],
    ['error parsing scrape interval: not a valid duration string: ""', {}, [set("__scrape_interval__", "")]],
    ["scrape interval cannot be 0", { __scrape_interval__: "0" }, []],
    ["scrape timeout cannot be 0", { __scrape_timeout__: "0s" }, []],
    ['error parsing scrape timeout: not a valid duration string: "x"', { __scrape_timeout__: "x" }, []],
    [
      'scrape timeout cannot be greater than scrape interval ("2s" > "1s")',
      { __scrape_interval__: "1s", __scrape_timeout__: "2s" },
      [],
    ],
    [
      'expected true or false in label __scrape_native_histograms__, got "yes"',
      { __scrape_native_histograms__: "yes" },
      [],
    ],
    ['invalid label value for "x": "\\ud800"', { x: "\ud800" }, []],
  ];
  test.each(refused)("refuses a target: %s", (message, labels, relabel) => {
    const address: Record<string, string> =
      message === "no address" && relabel.length === 0 ? {} : { __address__: "h" };
    expect(populate({ ...address, ...labels }, relabel)).toEqual({ kind: "error", message });
  });

  test("gives equal targets one identity and different ones different identities", () => {
    const identity = (...args: Parameters<typeof populate>) => expectTarget(...args).identity;
    const base = identity({ __address__: "h", a: "1" });
    expect(identity({ a: "1", __address__: "h", __meta_other: "gone" })).toBe(base);
    const others = [
      identity({ __address__: "h", a: "2" }),
      identity({ __address__: "h", a: "1", __tmp: "internal" }),
      identity({ __address__: "h", a: "1" }, [], { params: { p: ["1", "2"] } }),
      identity({ __address__: "h", a: "1" }, [], { params: { p: ["1", "3"] } }),
    ];
    expect(new Set([base, ...others]).size).toBe(5);
  });
});

describe("resolveTargets", () => {
  const groups = [
    {
      source: "s",
      labels: labelsOf({ zone: "a" }),
      targets: ["h1", "h2", "h1", "", "drop-1", "drop-2"].map((address) => labelsOf({ __address__: address })),
    },
  ];
  const dropRules = rules([{ sourceLabels: ["__address__"], regex: "drop-.*", action: "drop" }]);

  test("collapses duplicates and tells the rest apart", () => {
    const { targets, dropped, droppedCount, failures } = resolveTargets(groups, dropRules);
    expect([...targets.values()].map(({ url }) => url.address)).toEqual(["h1", "h2"]);
    expect([...targets].every(([identity, target]) => identity === target.identity)).toBe(true);
    expect([dropped.length, droppedCount]).toEqual([2, 2]);
    expect(failures).toEqual([{ source: "s", index: 3, message: "no address" }]);
  });

  test("counts dropped targets that it does not keep", () => {
    const { dropped, droppedCount } = resolveTargets(groups, dropRules, 1);
    expect([dropped.length, droppedCount]).toEqual([1, 2]);
  });
});

describe("buildTargetUrl", () => {
  test.each([
    ["http", "h:1", "/metrics", {}, "http://h:1/metrics"],
    ["https", "[::1]:80", "m", {}, "https://[::1]:80/m"],
    ["http", "h", "", {}, "http://h"],
    ["http", "h", "/a?b#c d%", {}, "http://h/a%3Fb%23c%20d%25"],
    ["http", "h", "/:@&=+$,;~-_.", {}, "http://h/:@&=+$,;~-_."],
    ["http", "h", "/(x)!*'", {}, "http://h/%28x%29%21%2A%27"],
    ["http", "h", "/\u00e9", {}, "http://h/%C3%A9"],
    ["http", "user@h", "/", {}, "http://user%40h/"],
    ["", "h", "/", {}, "//h/"],
    ["http", "h", "/", { b: ["1", ""], a: [" +&=/~"] }, "http://h/?a=+%2B%26%3D%2F~&b=1&b="],
    ["http", "h", "/", { a: [] }, "http://h/"],
  ] as const)("writes %s, %s, %s, %j", (scheme, address, path, params, href) => {
    expect(buildTargetUrl(scheme, address, path, new Map(Object.entries(params))).href).toBe(href);
  });
});
