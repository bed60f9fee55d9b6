import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { encodeMetricsJson } from "../../codec/otlp-json/encode-metrics.ts";
import { batchPoints } from "../../codec/otlp-json/group-points.ts";
import { requestToJson } from "../../codec/otlp-json/request-to-json.ts";
import { ConfigError, ConsumeError } from "../../model/errors.ts";
import { buildLogs, buildTraces, unopened } from "../../testing/build-otlp.ts";
import { buildNumbers } from "../../testing/build-points.ts";
import { sampleMetrics } from "../../testing/sample-metrics.ts";
import { createTestContext, parseConfig } from "../../testing/test-context.ts";
import file from "./file.ts";

let folder = "";
let path = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "millrace-file-"));
  path = join(folder, "out.json");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const forever = new AbortController().signal;
const line = (value: number) => buildNumbers([{ name: "m", value, attributes: { pad: "x".repeat(600_000) } }]);

async function setUp(section: object) {
  const test = createTestContext(parseConfig(file, { path, ...section }) as never, { id: "file/1" });
  const exporter = file.create(test.context);
  await exporter.start?.();
  return { ...test, exporter, close: async () => exporter.shutdown?.(forever) };
}

async function valuesIn(name: string): Promise<number[]> {
  const text = await readFile(join(folder, name), "utf8");
  return [...text.matchAll(/"asDouble":([0-9]+)/g)].map((match) => Number(match[1]));
}

describe("file", () => {
  test("writes one request per line before it answers, in order", async () => {
    const { exporter, close } = await setUp({});
    await exporter.metrics?.(sampleMetrics());
    const expected = `${encodeMetricsJson(batchPoints(sampleMetrics()))}\n`;
    expect(await readFile(path, "utf8")).toBe(expected);
    await Promise.all([1, 2, 3].map((value) => exporter.metrics?.(buildNumbers([{ name: "m", value }]))));
    await close();
    await close();
    expect((await readFile(path, "utf8")).slice(expected.length).split("\n").length).toBe(4);
    expect((await valuesIn("out.json")).slice(-3)).toEqual([1, 2, 3]);
  });

  test.each([
    [{}, "new"],
    [{ append: true }, "old\nnew"],
    [{ rotation: null }, "old\nnew"],
  ])("with %j an old file and new data give %s", async (section, result) => {
    await writeFile(path, "old\n");
    const { exporter, close } = await setUp(section);
    await exporter.metrics?.(buildNumbers([{ name: "m", value: 1 }]));
    await close();
    const text = await readFile(path, "utf8");
    expect(text.replace(/\{.*\n/, "new")).toBe(result);
  });

  test("writes spans, log records and metrics that nobody opened", async () => {
    const { exporter, close } = await setUp({});
    const traces = buildTraces([{ name: "a", attributes: { k: 1n } }]);
    const logs = buildLogs([{ body: "b", severityText: "INFO" }]);
    const metrics = unopened(buildNumbers([{ name: "m", value: 1 }]));
    await exporter.traces?.(traces);
    await exporter.logs?.(logs);
    await exporter.metrics?.(metrics);
    await close();
    const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
    const requests = [...traces.requests, ...logs.requests];
    for (const segment of metrics.segments) if (segment.form === "otlp") requests.push(segment.request);
    expect(lines).toEqual(requests.map(requestToJson));
    expect(JSON.parse(lines[0] ?? "").resourceSpans[0].scopeSpans[0].spans[0].name).toBe("a");
  });

  test("begins a new file by size, names the old one by time, and keeps max_backups of them", async () => {
    const { exporter, clock, close } = await setUp({ rotation: { max_megabytes: 1, max_backups: 2 } });
    for (let value = 1; value <= 5; value++) {
      await exporter.metrics?.(line(value));
      if (value > 3) await clock.advance(1000);
    }
    await close();
    const names = (await readdir(folder)).sort();
    expect(names).toEqual([
      "out-2023-11-14T22-13-20.002-size.json",
      "out-2023-11-14T22-13-21.000-size.json",
      "out.json",
    ]);
    expect(await Promise.all(names.map(valuesIn))).toEqual([[3], [4], [5]]);
  });

  test("deletes old files after max_days, and leaves other files alone", async () => {
    const old = ["out-2023-11-12T22-13-19.000-size.json", "out-2023-11-14T22-13-19.000-size.json", "out-x.json"];
    for (const name of old) await writeFile(join(folder, name), "");
    const { close } = await setUp({ rotation: { max_days: 1 } });
    await close();
    expect((await readdir(folder)).sort()).toEqual([old[1], old[2], "out.json"]);
  });

  test("compresses each message behind its length", async () => {
    const { exporter, close } = await setUp({ compression: "zstd", compression_params: { level: 3 } });
    await exporter.metrics?.(sampleMetrics());
    await exporter.metrics?.(sampleMetrics());
    await close();
    const bytes = await readFile(path);
    const length = bytes.readUInt32BE(0);
    expect(zstdDecompressSync(bytes.subarray(4, 4 + length)).toString()).toBe(
      encodeMetricsJson(batchPoints(sampleMetrics())),
    );
    expect(bytes.length).toBe(2 * (4 + length));
  });

  test("creates the directory when told to", async () => {
    path = join(folder, "a", "b", "out.json");
    const { close } = await setUp({ create_directory: true, directory_permissions: "0700" });
    await close();
    expect(await readdir(join(folder, "a", "b"))).toEqual(["out.json"]);
  });

  test("names the key of a path that cannot be opened", async () => {
    path = join(folder, "no", "such.json");
    const error = await setUp({}).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ConfigError);
    expect(String(error)).toContain("exporters::file/1::path: cannot open");
  });

  test.runIf(process.platform === "linux")("refuses data of a full disk, retryably, and says so once", async () => {
    path = "/dev/full";
    const test = createTestContext(parseConfig(file, { path, append: true }) as never, { id: "file/1" });
    const exporter = file.create(test.context);
    await exporter.start?.();
    for (let i = 0; i < 2; i++) {
      const error = await exporter.metrics?.(sampleMetrics()).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(ConsumeError);
      expect(error).toMatchObject({ permanent: false });
      expect(String(error)).toMatch(/exporters::file\/1::path: cannot write to .*ENOSPC/);
    }
    expect(test.host.reported.length).toBe(1);
    expect(test.log.entries.filter((entry) => entry.level === "error").length).toBe(1);
    await exporter.shutdown?.(forever);
  });

  test("refuses data after shutdown, retryably, and can be shut down before start", async () => {
    const { exporter, close } = await setUp({});
    await close();
    await expect(exporter.metrics?.(sampleMetrics())).rejects.toMatchObject({ permanent: false });
    const never = file.create(createTestContext(parseConfig(file, { path }) as never).context);
    await never.shutdown?.(forever);
  });

  test.each([
    [{ path: "" }, "not empty"],
    [{ path: "x", append: true, rotation: {} }, "together with rotation"],
    [{ path: "x", format: "proto" }, "later version"],
    [{ path: "x", encoding: "text" }, "later version"],
    [{ path: "x", group_by: { enabled: true } }, "later version"],
    [{ path: "x", compression: "gzip" }, "compression"],
    [{ path: "x", directory_permissions: "0755" }, "create_directory"],
    [{ path: "x", create_directory: true, directory_permissions: "0999" }, "octal"],
    [{ path: "x", rotation: { max_megabyte: 1 } }, "max_megabyte"],
  ])("refuses %j", (section, message) => {
    expect(() => parseConfig(file, section)).toThrow(message);
  });
});
