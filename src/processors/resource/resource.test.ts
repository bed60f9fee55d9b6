import { describe, expect, test } from "vitest";
import { decodeLogs } from "../../codec/otlp/logs-data.ts";
import { decodeTraces } from "../../codec/otlp/traces-data.ts";
import type { AttributeValue } from "../../model/attributes.ts";
import { clientInfo } from "../../model/client-info.ts";
import { buildLogs, buildTraces } from "../../testing/build-otlp.ts";
import { buildNumbers } from "../../testing/build-points.ts";
import { runProcessor } from "../../testing/run-processor.ts";
import { parseConfig } from "../../testing/test-context.ts";
import resource from "./resource.ts";

describe("resource", () => {
  test("edits resource attributes and leaves the attributes of points", async () => {
    const batch = buildNumbers([
      { name: "m", value: 1, resource: { a: "1", b: "x" }, resourceSchemaUrl: "u", attributes: { a: "1" } },
    ]);
    const attributes = [
      { key: "a", action: "delete" },
      { key: "c", from_attribute: "b", action: "upsert" },
    ];
    const [out] = await runProcessor(resource, { attributes }, batch);
    const layout = out?.segments[0]?.layout;
    const series = layout?.form === "points" ? layout.identities.seriesView(layout.series[0] ?? 0) : undefined;
    const plain = (map: ReadonlyMap<string, AttributeValue> | undefined) => Object.fromEntries(map ?? []);
    expect(plain(series?.resource.attributes)).toEqual({ b: "x", c: "x" });
    expect(series?.resource.schemaUrl).toBe("u");
    expect(plain(series?.attributes)).toEqual({ a: "1" });
  });

  test("takes values from the client", async () => {
    const client = clientInfo({ metadata: new Map([["tenant", ["a"]]]) });
    const attributes = [{ key: "tenant", from_context: "metadata.tenant", action: "insert" }];
    const expected = { attributes: new Map([["tenant", "a"]]) };
    const [traces] = await runProcessor(resource, { attributes }, { ...buildTraces([{ name: "x" }]), client });
    expect(decodeTraces(traces?.requests[0]?.bytes ?? new Uint8Array())[0]?.resource).toMatchObject(expected);
    const [metrics] = await runProcessor(
      resource,
      { attributes },
      { ...buildNumbers([{ name: "m", value: 1 }]), client },
    );
    const layout = metrics?.segments[0]?.layout;
    const series = layout?.form === "points" ? layout.identities.seriesView(layout.series[0] ?? 0) : undefined;
    expect(series?.resource).toMatchObject(expected);
  });

  test.each([{ resource: { a: "1", b: "x" } }, {}])(
    "edits the resources of spans and log records: %j",
    async (origin) => {
      const section = {
        attributes: [
          { key: "a", action: "delete" },
          { key: "c", value: "new", action: "insert" },
        ],
      };
      const [traces] = await runProcessor(
        resource,
        section,
        buildTraces([{ name: "s", attributes: { a: "1" }, ...origin }]),
      );
      const [logs] = await runProcessor(resource, section, buildLogs([{ body: "l", ...origin }]));
      const [spans] = decodeTraces(traces?.requests[0]?.bytes ?? new Uint8Array());
      const [records] = decodeLogs(logs?.requests[0]?.bytes ?? new Uint8Array());
      const expected = origin.resource === undefined ? { c: "new" } : { b: "x", c: "new" };
      expect(Object.fromEntries(spans?.resource?.attributes ?? [])).toEqual(expected);
      expect(Object.fromEntries(records?.resource?.attributes ?? [])).toEqual(expected);
      expect(spans?.scopeSpans[0]?.spans[0]?.attributes.get("a")).toBe("1");
      expect(records?.scopeLogs[0]?.logRecords[0]?.body).toBe("l");
    },
  );

  test("hands the same layout on when nothing changes", async () => {
    const batch = buildNumbers([{ name: "m", value: 1 }]);
    const [out] = await runProcessor(resource, { attributes: [{ key: "a", action: "delete" }] }, batch);
    const [before, after] = [batch.segments[0]?.layout, out?.segments[0]?.layout];
    expect(after?.form === "points" && after.series).toEqual(before?.form === "points" && before.series);
  });

  test.each([
    [{}, "attributes"],
    [{ attributes: [] }, "at least one action"],
    [{ attributes: [{ key: "a", action: "delete" }], actions: [] }, "actions"],
  ])("refuses %j", (section, message) => {
    expect(() => parseConfig(resource, section)).toThrow(message);
  });
});
