import { describe, expect, test } from "vitest";
import { z } from "zod";
import type { ConfigNode } from "../codec/yaml/config-node.ts";
import {
  addConfigIssues,
  duration,
  headers,
  optionalSection,
  rawNode,
  secret,
  stringMap,
} from "../codec/yaml/field-types.ts";
import { parseYaml } from "../codec/yaml/parse-yaml.ts";
import { formatConfigIssue } from "../model/errors.ts";
import { resolveConfig } from "./resolve.ts";
import { decodeWithSchema } from "./zod-issues.ts";

const schema = z.strictObject({
  timeout: duration().default(200),
  send_batch_size: z.int().min(0).default(8192),
  name: z.string().default("x"),
  enabled: z.boolean().default(true),
  level: z.enum(["basic", "normal", "detailed"]).default("normal"),
  names: z.array(z.string()).default([]),
  labels: stringMap().default({}),
  tls: z.strictObject({ ca_file: z.string().optional(), insecure: z.boolean().default(false) }).prefault({}),
  retry: optionalSection(z.strictObject({ max: z.number().default(3) })),
  token: secret().optional(),
  headers: headers().default([]),
  big: z.bigint().default(1n),
  auth: z.union([z.string(), z.strictObject({ authenticator: z.string() })]).optional(),
  kind: z
    .discriminatedUnion("type", [
      z.strictObject({ type: z.literal("a"), x: z.number() }),
      z.strictObject({ type: z.literal("b"), y: z.string() }),
    ])
    .optional(),
  raw: rawNode().optional(),
});

const defaults = schema.parse({});

function decode(text: string, env: Record<string, string> = {}) {
  const { root, issues } = resolveConfig({ uris: [`yaml:${text}`], sets: [], env });
  expect(issues).toEqual([]);
  return decodeWithSchema(schema, root, ["processors", "batch"]);
}

describe("values", () => {
  const cases: [string, string, Partial<z.infer<typeof schema>>][] = [
    ["an empty section has the defaults", "{}", {}],
    ["a key without a value keeps its default", "timeout:\nsend_batch_size: null\nnames:\ntls:\nheaders:\n", {}],
    ["a duration becomes milliseconds", "timeout: 1.5s", { timeout: 1500 }],
    ["a text is split where a list is wanted", "names: a,b", { names: ["a", "b"] }],
    ["a number from the environment is text for a text field", "name: ${env:N}", { name: "0123" }],
    ["a map from the environment is text for a text field", "name: ${env:M}", { name: "{a: 1}" }],
    [
      "a number from the environment is a number for a number field",
      "send_batch_size: ${env:P}",
      { send_batch_size: 42 },
    ],
    ["an unset variable is an empty text for a text field", "name: ${env:UNSET}", { name: "" }],
    ["an unset variable keeps the default of another field", "send_batch_size: ${env:UNSET}", {}],
    [
      "texts within maps and lists too",
      "labels: {a: '${env:N}', b: }\nnames: ['${env:N}']",
      { labels: { a: "0123", b: "" }, names: ["0123"] },
    ],
    ["an empty optional section is on", "retry:", { retry: { max: 3 } }],
    ["a bigint field takes a small number", "big: 5", { big: 5n }],
    ["a bigint field takes a large one", "big: 9007199254740993", { big: 9007199254740993n }],
    ["a union takes each alternative", "auth: {authenticator: x}", { auth: { authenticator: "x" } }],
    [
      "a discriminated union takes its alternative",
      "kind: {type: b, y: ${env:N}}".replace("${env:N}", "'${env:N}'"),
      { kind: { type: "b", y: "0123" } },
    ],
  ];
  test.each(cases)("%s", (_title, text, expected) => {
    const { value, issues } = decode(text, { N: "0123", M: "{a: 1}", P: "42" });
    expect(issues).toEqual([]);
    expect(value).toEqual({ ...defaults, ...expected });
  });

  test("an absent section has the defaults", () => {
    expect(decodeWithSchema(schema, undefined, []).value).toEqual(defaults);
  });

  test("a raw node arrives as it is", () => {
    const raw = decode("raw: {a: [1]}").value?.raw as ConfigNode;
    expect(raw.kind).toBe("map");
  });
});

describe("issues", () => {
  const at = "processors::batch::";
  const cases: [string, string, string[]][] = [
    [
      "a duration without a unit",
      'timeout: "200"',
      [`${at}timeout: expected a duration like "200ms" or "1h30m", got "200" (yaml::1:10)`],
    ],
    ["an unknown key with a near one", "timeot: 1s", [`${at}timeot: unknown key, did you mean "timeout"? (yaml::1:1)`]],
    ["an unknown key without a value", "timeot:", [`${at}timeot: unknown key, did you mean "timeout"? (yaml::1:1)`]],
    [
      "several at once",
      "timeot: 1s\ntls:\n  ca_fil: x\n  zzz: y\n",
      [
        `${at}tls::ca_fil: unknown key, did you mean "ca_file"? (yaml::3:3)`,
        `${at}tls::zzz: unknown key, expected "ca_file" or "insecure" (yaml::4:3)`,
        `${at}timeot: unknown key, did you mean "timeout"? (yaml::1:1)`,
      ],
    ],
    ["a text for a number", 'send_batch_size: "8"', [`${at}send_batch_size: expected a number, got "8" (yaml::1:18)`]],
    ["a fraction", "send_batch_size: 1.5", [`${at}send_batch_size: expected a whole number, got 1.5 (yaml::1:18)`]],
    ["too small", "send_batch_size: -1", [`${at}send_batch_size: expected at least 0, got -1 (yaml::1:18)`]],
    ["a number for a text", "name: 0123", [`${at}name: expected a text, got 0123 (put quotes around it) (yaml::1:7)`]],
    [
      "a wrong word",
      "level: detaild",
      [`${at}level: expected "basic", "normal" or "detailed", got "detaild", did you mean "detailed"? (yaml::1:8)`],
    ],
    ["yes is not true", "enabled: yes", [`${at}enabled: expected true or false, got "yes" (yaml::1:10)`]],
    ["a map for a list", "names: {a: 1}", [`${at}names: expected a list, got a map (yaml::1:8)`]],
    ["an item", "names: [a, 5]", [`${at}names[1]: expected a text, got 5 (put quotes around it) (yaml::1:12)`]],
    [
      "a number as a secret is not printed",
      "token: 12345",
      [`${at}token: must be a text: put quotes around it (yaml::1:8)`],
    ],
    [
      "a number as a header is not printed",
      "headers: {a: 12345}",
      [`${at}headers::a: must be a text: put quotes around it (yaml::1:14)`],
    ],
    [
      "a header list",
      "headers: [{name: a, valeu: b}]",
      [
        `${at}headers[0]::value: required (yaml::1:11)`,
        `${at}headers[0]::valeu: unknown key, did you mean "value"? (yaml::1:21)`,
      ],
    ],
    ["neither map nor list", "headers: 5", [`${at}headers: expected a map or a list, got a number (yaml::1:10)`]],
    ["a union", "auth: 5", [`${at}auth: expected a text or a map, got a number (yaml::1:7)`]],
    [
      "a secret in the place of a section is not printed",
      "headers: 'Authorization: Bearer hunter2'",
      [`${at}headers: expected a map or a list, got a text (yaml::1:10)`],
    ],
    [
      "a secret with a reference in it is not printed",
      "headers: ['hunter2-${env:T}']",
      [`${at}headers[0]: expected a map, got the value of \${env:T} (yaml::1:11)`],
    ],
    [
      "a URL is printed without its password",
      "timeout: http://u:hunt/er2@h",
      [`${at}timeout: expected a duration like "200ms" or "1h30m", got "http://xxxxx@h" (yaml::1:10)`],
    ],
    [
      "inside of a union",
      "auth: {authenticato: x}",
      [
        `${at}auth::authenticator: required (yaml::1:7)`,
        `${at}auth::authenticato: unknown key, did you mean "authenticator"? (yaml::1:8)`,
      ],
    ],
    ["a discriminator", "kind: {type: c}", [`${at}kind::type: expected "a" or "b", got "c" (yaml::1:14)`]],
    [
      "a value of the environment is not printed",
      "timeout: ${env:T}",
      [`${at}timeout: expected a duration like "200ms" or "1h30m", got the value of \${env:T} (yaml::1:10)`],
    ],
    ["a section that is no map", "5", [`processors::batch: expected a map, got 5`]],
  ];
  test.each(cases)("%s", (_title, text, expected) => {
    const env = { T: "hunter2" };
    const issues =
      text === "5"
        ? decodeWithSchema(schema, parseYaml("5", "f").root, ["processors", "batch"]).issues
        : decode(text, env).issues;
    const lines = issues.map(formatConfigIssue).map((line) => (text === "5" ? line.replace(" (f:1:1)", "") : line));
    expect(lines.toSorted()).toEqual(expected.toSorted());
  });

  test("an empty optional section says what it needs", () => {
    const needy = z.strictObject({ api: optionalSection(z.strictObject({ endpoint: z.string() })) });
    const { issues } = decodeWithSchema(needy, parseYaml("a: 1\napi:\n", "f").root, ["x"]);
    expect(issues.map(formatConfigIssue)).toEqual([
      "x::api::endpoint: required (f:2:1)",
      'x::a: unknown key, expected "api" (f:1:1)',
    ]);
  });

  test("issues found in a raw node keep their paths", () => {
    const nested = z.strictObject({
      config: rawNode().transform((_node, context) => {
        addConfigIssues(context, [
          { path: "scrape_configs[0]::x", message: "unknown key" },
          { path: "", message: "odd" },
        ]);
        return z.NEVER;
      }),
    });
    const { issues } = decodeWithSchema(nested, parseYaml("config: {}", "f").root, ["receivers", "prometheus"]);
    expect(issues.map((issue) => issue.path)).toEqual([
      "receivers::prometheus::config::scrape_configs[0]::x",
      "receivers::prometheus::config",
    ]);
    expect(issues[0]?.at?.line).toBe(1);
  });
});
