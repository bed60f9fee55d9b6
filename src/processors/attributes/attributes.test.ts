import { describe, expect, test } from "vitest";
import { parseYaml } from "../../codec/yaml/parse-yaml.ts";
import type { Attributes, AttributeValue } from "../../model/attributes.ts";
import type { MetricsBatch } from "../../model/batch.ts";
import { clientInfo } from "../../model/client-info.ts";
import { buildNumbers } from "../../testing/build-points.ts";
import { runProcessor } from "../../testing/run-processor.ts";
import { createTestContext, parseConfig } from "../../testing/test-context.ts";
import attributes from "./attributes.ts";

type Values = Record<string, AttributeValue>;

function attributesOf(batch: MetricsBatch | undefined): Values[] {
  return (batch?.segments ?? []).flatMap((segment) =>
    segment.form === "points"
      ? Array.from(segment.layout.series, (id) => toObject(segment.layout.identities.seriesView(id).attributes))
      : [],
  );
}

function toObject(map: Attributes): Values {
  return Object.fromEntries(map);
}

async function run(actions: unknown[], values: Values, more: object = {}): Promise<Values | undefined> {
  const batch = buildNumbers([{ name: "http_requests", value: 1, attributes: values }]);
  const [out] = await runProcessor(attributes, { actions, ...more }, batch);
  return attributesOf(out)[0];
}

const sha256 = {
  abc: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  one: "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a",
  int1: "7c9fa136d4413fa6173637e883b6998d32e1d675f88cddff9dcbcf331820f4b8",
};

describe("actions", () => {
  const cases: { title: string; actions: object[]; before: Values; after: Values }[] = [
    {
      title: "insert sets an absent attribute only",
      actions: [
        { key: "a", value: "new", action: "insert" },
        { key: "b", value: 2, action: "insert" },
      ],
      before: { a: "old" },
      after: { a: "old", b: 2n },
    },
    {
      title: "update sets a present attribute only",
      actions: [
        { key: "a", value: true, action: "update" },
        { key: "b", value: 2, action: "UPDATE" },
      ],
      before: { a: "old" },
      after: { a: true },
    },
    {
      title: "upsert takes the value of another attribute, or the default value, or does nothing",
      actions: [
        { key: "a", from_attribute: "b", action: "upsert" },
        { key: "c", from_attribute: "missing", default_value: "d", action: "upsert" },
        { key: "e", from_attribute: "missing", action: "upsert" },
        { key: "f", from_context: "metadata.x", default_value: 1.5, action: "upsert" },
      ],
      before: { b: 7n },
      after: { a: 7n, b: 7n, c: "d", f: 1.5 },
    },
    {
      title: "delete removes the key and what matches the pattern",
      actions: [{ key: "a", pattern: "^x_", action: "delete" }],
      before: { a: 1n, x_1: 1n, y_x_: 1n },
      after: { y_x_: 1n },
    },
    {
      title: "hash writes SHA-256 of texts, booleans and numbers, and nothing for other values",
      actions: [{ pattern: "^[bins]", action: "hash" }],
      before: { s: "abc", b: true, i: 1n, n: [1n], z: "abc" },
      after: { s: sha256.abc, b: sha256.one, i: sha256.int1, n: "", z: "abc" },
    },
    {
      title: "extract writes the named groups of a text that matches",
      actions: [
        { key: "path", pattern: "^/(?P<api>[^/]+)/(?P<id>[0-9]*)", action: "extract" },
        { key: "number", pattern: "(?P<digit>.)", action: "extract" },
      ],
      before: { path: "/users/", api: "old", number: 5n },
      after: { path: "/users/", api: "users", id: "", number: 5n },
    },
    {
      title: "convert changes types and leaves what cannot be converted",
      actions: [
        { key: "a", action: "convert", converted_type: "int" },
        { key: "b", action: "convert", converted_type: "int" },
        { key: "c", action: "convert", converted_type: "double" },
        { key: "d", action: "convert", converted_type: "string" },
        { key: "e", action: "convert", converted_type: "int" },
        { key: "f", action: "convert", converted_type: "int" },
      ],
      before: { a: "123", b: "12.5", c: "1e3", d: 1e21, e: -2.9, f: Number.NaN },
      after: { a: 123n, b: "12.5", c: 1000, d: "1e+21", e: -2n, f: -(2n ** 63n) },
    },
  ];
  test.each(cases)("$title", async ({ actions, before, after }) => {
    expect(await run(actions, before)).toEqual(after);
  });
});

describe("include and exclude", () => {
  const action = [{ key: "a", value: "x", action: "insert" }];
  test.each([
    ["an included name is edited", { include: { match_type: "strict", metric_names: ["http_requests"] } }, true],
    ["a name that is not included passes", { include: { match_type: "strict", metric_names: ["http"] } }, false],
    ["expressions are not anchored", { include: { match_type: "regexp", metric_names: ["requests$"] } }, true],
    ["an excluded name passes", { exclude: { match_type: "regexp", metric_names: ["^http"] } }, false],
    ["resources do not narrow the choice", { include: { match_type: "strict", resources: [{ key: "no" }] } }, true],
  ])("%s", async (_title, match, edited) => {
    expect(await run(action, {}, match)).toEqual(edited ? { a: "x" } : {});
  });

  test.each([
    ["a broken expression", { match_type: "regexp", metric_names: ["("] }],
    ["names without a match type", { metric_names: ["a"] }],
  ])("a section that matches %s is refused", (_title, include) => {
    expect(() => parseConfig(attributes, { include, actions: action })).toThrow();
  });
});

test.each([
  ["metrics", { services: ["a"], match_type: "strict" }, "include::services: is not valid for metrics"],
  ["metrics", {}, "include: required: at least one of metric_names, resources"],
  ["traces", { log_bodies: ["a"], match_type: "strict" }, "include::log_bodies: is not valid for traces"],
  ["logs", { span_names: ["a"], match_type: "strict" }, "include::span_names: is not valid for logs"],
  ["logs", { log_severity_number: { min: 9 } }, undefined],
] as const)("in a pipeline of %s the section %j is checked: %s", (signal, include, message) => {
  const config = parseConfig(attributes, { include, actions: [{ key: "a", action: "delete" }] });
  const create = () => attributes.create({ ...createTestContext(config as never).context, signals: [signal] });
  if (message === undefined) expect(create).not.toThrow();
  else expect(create).toThrow(message);
});

describe("configuration", () => {
  test.each([
    ["no action", [], "at least one action"],
    ["an unknown action", [{ key: "a", action: "remove" }], "action"],
    ["an insert without a source", [{ key: "a", action: "insert" }], "one of value"],
    ["two sources", [{ key: "a", action: "insert", value: 1, from_attribute: "b" }], "only one source"],
    ["a delete without key and pattern", [{ action: "delete" }], "a key, a pattern or both"],
    ["a pattern that insert does not use", [{ key: "a", value: 1, pattern: "x", action: "insert" }], "not used"],
    ["an extract with unnamed groups", [{ key: "a", pattern: "(x)(?P<y>z)", action: "extract" }], "a name for every"],
    ["an extract without groups", [{ key: "a", pattern: "x", action: "extract" }], "named group"],
    ["a broken pattern", [{ key: "a", pattern: "(", action: "hash" }], "regular expression"],
    ["a convert without a type", [{ key: "a", action: "convert" }], "required by the action convert"],
    ["a misspelt key", [{ key: "a", valeu: 1, action: "insert" }], "valeu"],
  ])("refuses %s", (_title, actions, message) => {
    expect(() => parseConfig(attributes, { actions })).toThrow(message);
  });

  test("tells 1.0 from 1 by what the file says", () => {
    const text =
      "actions:\n- {key: a, action: insert, value: 1.0}\n- {key: b, action: insert, from_context: x, default_value: 1}\n";
    const { root: node } = parseYaml(text, "c.yaml");
    const parsed = attributes.config.parse({
      actions: [
        { key: "a", action: "insert", value: 1 },
        { key: "b", action: "insert", from_context: "x", default_value: 1 },
      ],
    });
    const completed = attributes.complete?.(parsed, {
      node,
      path: ["processors", "attributes"],
      env: {},
      issue: () => {},
      notice: () => {},
    });
    expect(completed?.actions.map((action) => action.value ?? action.default_value)).toEqual([1, 1n]);
  });
});

test("the rule runs once per series, however many batches there are", async () => {
  const batch = buildNumbers([{ name: "m", value: 1, attributes: { a: "x" } }]);
  const out = await runProcessor(attributes, { actions: [{ key: "a", action: "delete" }] }, [batch, batch]);
  expect(out[0]?.segments[0]?.layout).toBe(out[1]?.segments[0]?.layout);
});

describe("from_context", () => {
  const client = (tenant: readonly string[]) =>
    clientInfo({
      address: "192.0.2.7",
      metadata: new Map([["x-tenant", tenant]]),
      auth: (name) => (name === "username" ? "alice" : undefined),
    });
  const actions = [
    { key: "tenant", from_context: "metadata.X-Tenant", action: "insert" },
    { key: "bare", from_context: "x-tenant", action: "insert" },
    { key: "ip", from_context: "client.address", action: "insert" },
    { key: "user", from_context: "auth.username", action: "insert" },
    { key: "raw", from_context: "auth.raw", action: "insert" },
    { key: "zone", from_context: "metadata.zone", default_value: "z", action: "upsert" },
  ];

  test("takes what the client sent, also where clients share a layout", async () => {
    const data = buildNumbers([{ name: "m", value: 1 }]);
    const from = [client(["a"]), client(["b", "c"]), client(["a"]), undefined];
    const out = await runProcessor(
      attributes,
      { actions },
      from.map((sender) => ({ ...data, client: sender })),
    );
    const known = { ip: "192.0.2.7", user: "alice", zone: "z" };
    expect(out.map((one) => attributesOf(one)[0])).toEqual([
      { tenant: "a", bare: "a", ...known },
      { tenant: "b;c", bare: "b;c", ...known },
      { tenant: "a", bare: "a", ...known },
      { ip: "", zone: "z" },
    ]);
    expect(out[0]?.segments[0]?.layout).toBe(out[2]?.segments[0]?.layout);
    expect(out.map((one) => one.client)).toEqual(from);
  });
});
