import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { formatComponentId, parseComponentId } from "./component-id.ts";
import {
  byteSize,
  componentIdString,
  duration,
  filledSection,
  headers,
  keysTogether,
  optionalSection,
  percentage,
  secret,
  stringMap,
  switchedSection,
} from "./field-types.ts";
import { formatGoDuration, parseGoDuration } from "./go-duration.ts";
import { nearestKey } from "./nearest-key.ts";
import { Secret } from "./secret.ts";

describe("parseGoDuration", () => {
  const cases: [string, number | undefined][] = [
    ["200ms", 200],
    ["1h30m", 5_400_000],
    ["1.5s", 1500],
    [".5s", 500],
    ["1.s", 1000],
    ["-1s", -1000],
    ["+1s", 1000],
    ["0", 0],
    ["-0", 0],
    ["0s", 0],
    ["1us", 0.001],
    ["1\u00b5s", 0.001],
    ["1\u03bcs", 0.001],
    ["1ns", 1e-6],
    ["", undefined],
    ["5", undefined],
    ["1d", undefined],
    ["s", undefined],
    ["1 s", undefined],
    ["1s ", undefined],
    ["-", undefined],
    [".s", undefined],
    ["1e3s", undefined],
    ["2562048h", undefined],
    ["2562047h", 2562047 * 3_600_000],
  ];
  test.each(cases)("%j", (text, ms) => {
    expect(parseGoDuration(text)).toBe(ms);
  });
});

describe("formatGoDuration", () => {
  const cases: [number, string][] = [
    [0, "0s"],
    [200, "200ms"],
    [1500, "1.5s"],
    [60_000, "1m0s"],
    [5_400_000, "1h30m0s"],
    [0.001, "1\u00b5s"],
    [0.0015, "1.5\u00b5s"],
    [1e-6, "1ns"],
    [-1000, "-1s"],
    [2.5, "2.5ms"],
  ];
  test.each(cases)("%d", (ms, text) => {
    expect(formatGoDuration(ms)).toBe(text);
    expect(parseGoDuration(text)).toBe(ms);
  });
});

describe("field types", () => {
  const cases: [string, z.ZodType, unknown, unknown][] = [
    ["duration", duration(), "1m", 60_000],
    ["duration", duration(), 0, 0],
    ["duration", duration(), 5, 'expected a duration like "200ms" or "1h30m"'],
    ["duration", duration(), "-1s", "expected a duration that is not negative"],
    ["negative duration", duration({ allowNegative: true }), "-1s", -1000],
    ["duration with bounds", duration({ minMs: 1000 }), "1ms", "expected at least 1s"],
    ["duration with bounds", duration({ maxMs: 1000 }), "1m", "expected at most 1s"],
    ["duration with default", duration().default(7), undefined, 7],
    ["byteSize", byteSize(), 5, 5],
    ["byteSize", byteSize(), "20MiB", 20 * 1024 * 1024],
    ["byteSize", byteSize(), "1KB", 1024],
    ["byteSize", byteSize(), "1.5 GiB", 1.5 * 2 ** 30],
    ["byteSize", byteSize(), "x", 'expected a number of bytes or a size like "20MiB"'],
    ["byteSize", byteSize(), -1, 'expected a number of bytes or a size like "20MiB"'],
    ["percentage", percentage(), 80, 80],
    ["percentage", percentage(), "80%", 80],
    ["percentage", percentage(), 101, "expected a percentage from 0 to 100"],
    ["stringMap", stringMap(), { a: "b" }, { a: "b" }],
    ["componentIdString", componentIdString(), " otlp / 2", "otlp/2"],
    [
      "componentIdString",
      componentIdString(),
      "9x",
      'expected a component type of letters, digits and "_" that begins with a letter, got "9x"',
    ],
  ];
  test.each(cases)("%s %s %j", (_title, schema, input, expected) => {
    const result = schema.safeParse(input);
    expect(result.success ? result.data : result.error.issues[0]?.message).toEqual(expected);
  });

  test("headers are read from a map and from a list", () => {
    const expected = [{ name: "X-A", value: expect.any(Secret) }];
    const fromMap = headers().parse({ "X-A": "s3cret" });
    expect(fromMap).toEqual(expected);
    expect(headers().parse([{ name: "X-A", value: "s3cret" }])).toEqual(expected);
    expect(fromMap[0]?.value.reveal()).toBe("s3cret");
  });

  test("a secret is never printed", () => {
    const value = secret().parse("s3cret");
    expect(`${value} ${JSON.stringify({ value })} ${inspect({ value }, { depth: 9, showHidden: true })}`).not.toContain(
      "s3cret",
    );
    expect(value.equals(new Secret("s3cret"))).toBe(true);
  });

  test("an optional section is off when absent and on when empty", () => {
    const section = optionalSection(z.strictObject({ a: z.string().default("b") }));
    expect(section.parse(undefined)).toBeUndefined();
    expect(section.parse(null)).toEqual({ a: "b" });
  });

  test.each<[unknown, unknown]>([
    [undefined, undefined],
    [null, { a: "b" }],
    [{ a: "c" }, { a: "c" }],
    [{ enabled: true }, { a: "b" }],
    [{ enabled: true, a: "c" }, { a: "c" }],
    [{ enabled: false, a: 3, unknown: 1 }, undefined],
  ])("a section with a switch: %j is %j", (input, output) => {
    const section = switchedSection(z.strictObject({ a: z.string().default("b") }));
    const filled = filledSection(z.strictObject({ a: z.string().default("b") }));
    expect(section.parse(input)).toEqual(output);
    expect(filled.parse(input)).toEqual(input === null ? undefined : output);
    expect(section.safeParse({ enabled: "yes" }).success).toBe(false);
  });
});

describe("parseComponentId", () => {
  const valid: [string, string][] = [
    ["otlp", "otlp"],
    ["otlp/2", "otlp/2"],
    [" otlp / a-b.c ", "otlp/a-b.c"],
    ["debug//x", "debug//x"],
    [`a${"b".repeat(62)}`, `a${"b".repeat(62)}`],
    [`otlp/${"n".repeat(1024)}`, `otlp/${"n".repeat(1024)}`],
  ];
  test.each(valid)("%j is an id", (text, canonical) => {
    const { id } = parseComponentId(text);
    expect(id && formatComponentId(id)).toBe(canonical);
  });
  const invalid = [
    "",
    "/",
    "/x",
    "otlp/",
    "otlp/ ",
    "1a",
    "a-b",
    `a${"b".repeat(63)}`,
    "otlp/a b",
    "otlp/a\u0007",
    "otlp/a+b",
    `otlp/${"n".repeat(1025)}`,
  ];
  test.each(invalid)("%j is not", (text) => {
    expect(parseComponentId(text).problem).toMatch(/^expected /);
  });
});

describe("nearestKey", () => {
  const keys = ["timeout", "send_batch_size", "send_batch_max_size", "metadata_keys", "tls"];
  const cases: [string, string | undefined][] = [
    ["timeot", "timeout"],
    ["tiemout", "timeout"],
    ["Timeout", "timeout"],
    ["sendBatchSize", "send_batch_size"],
    ["send-batch-max-size", "send_batch_max_size"],
    ["tlss", "tls"],
    ["endpoint", undefined],
    ["", undefined],
    ["x".repeat(101), undefined],
  ];
  test.each(cases)("%j", (key, nearest) => {
    expect(nearestKey(key, keys)).toBe(nearest);
  });
});

describe("checks of keys together", () => {
  const schema = z
    .strictObject({ least: z.number().default(0), most: z.number().default(1), name: z.string().default("") })
    .check(
      keysTogether(
        ({ least, most }, fault) => {
          if (least > most) fault(["least"], "expected at most most");
        },
        ({ name }, fault) => {
          if (name === "x") fault(["name"], "is taken");
        },
      ),
    );
  const faults = (value: unknown) =>
    schema
      .safeParse(value)
      .error?.issues.map(({ path, code }) => `${path.join()} ${code}`)
      .sort();

  test.each<[unknown, string[] | undefined]>([
    [{}, undefined],
    [{ least: 2 }, ["least custom"]],
    [{ least: 2, name: "x" }, ["least custom", "name custom"]],
    // Others that are wrong or unknown hide nothing.
    [{ least: 2, name: 5 }, ["least custom", "name invalid_type"]],
    [{ least: 2, nam: "x" }, [" unrecognized_keys", "least custom"]],
    // What is wrong by itself is looked at by no check.
    [{ least: 2, most: "1", name: "x" }, ["most invalid_type", "name custom"]],
    [5, [" invalid_type"]],
  ])("of %j", (value, expected) => {
    expect(faults(value)).toEqual(expected);
  });
});
