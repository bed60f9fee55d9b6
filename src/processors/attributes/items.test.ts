import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeLogs } from "../../codec/otlp/logs-data.ts";
import { decodeTraces, type SpanData } from "../../codec/otlp/traces-data.ts";
import { compileActions } from "../../component/apply-actions.ts";
import type { AttributeValue } from "../../model/attributes.ts";
import { clientInfo } from "../../model/client-info.ts";
import type { TracesBatch } from "../../model/otlp-request.ts";
import { buildLogs, buildTraces, type LogRow, type SpanRow } from "../../testing/build-otlp.ts";
import { runProcessor } from "../../testing/run-processor.ts";
import { parseConfig } from "../../testing/test-context.ts";
import attributes from "./attributes.ts";

const spansOf = (batch: TracesBatch | undefined): SpanData[] =>
  (batch?.requests ?? []).flatMap(({ bytes }) =>
    decodeTraces(Uint8Array.from(bytes)).flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
  );
const plain = (map: ReadonlyMap<string, AttributeValue>) => Object.fromEntries(map);

describe("attributes of spans", () => {
  test("are edited, everything else stays as it is", async () => {
    const batch = buildTraces([
      { name: "a", attributes: { old: "x", kept: 1n, user: "me" }, status: { code: 2, message: "bad" } },
      { name: "b" },
    ]);
    const actions = [
      { key: "old", action: "delete" },
      { key: "env", value: "prod", action: "upsert" },
      { key: "user", action: "hash" },
      { key: "copy", from_attribute: "kept", action: "insert" },
    ];
    const [out] = await runProcessor(attributes, { actions }, batch);
    const [first, second] = spansOf(out);
    expect(plain(first?.attributes ?? new Map())).toEqual({
      kept: 1n,
      user: "2744ccd10c7533bd736ad890f9dd5cab2adb27b07d500b9493f29cdc420cb2e0",
      env: "prod",
      copy: 1n,
    });
    expect(plain(second?.attributes ?? new Map())).toEqual({ env: "prod" });
    const before = spansOf(batch)[0];
    expect({ ...first, attributes: undefined }).toEqual({ ...before, attributes: undefined });
  });

  test("that do not change leave the very batch", async () => {
    const batch = buildTraces([{ name: "a" }]);
    const [out] = await runProcessor(attributes, { actions: [{ key: "x", action: "delete" }] }, batch);
    expect(out).toBe(batch);
  });

  const origin = { resource: { "service.name": "shop", zone: 7n }, scope: { name: "lib", version: "1" } };
  const cases: { title: string; include: object; matches: boolean }[] = [
    { title: "service", include: { services: ["shop"] }, matches: true },
    { title: "another service", include: { services: ["other"] }, matches: false },
    { title: "name", include: { span_names: ["GET"] }, matches: true },
    { title: "kind", include: { span_kinds: ["SPAN_KIND_SERVER"] }, matches: true },
    { title: "another kind", include: { span_kinds: ["SPAN_KIND_CLIENT"] }, matches: false },
    { title: "attribute", include: { attributes: [{ key: "code", value: 200 }] }, matches: true },
    { title: "attribute of another value", include: { attributes: [{ key: "code", value: 404 }] }, matches: false },
    { title: "attribute of any value", include: { attributes: [{ key: "code" }] }, matches: true },
    { title: "resource", include: { resources: [{ key: "zone", value: 7 }] }, matches: true },
    { title: "library", include: { libraries: [{ name: "lib" }] }, matches: true },
    { title: "library of another version", include: { libraries: [{ name: "lib", version: "2" }] }, matches: false },
    { title: "all of it", include: { services: ["shop"], span_names: ["GET"] }, matches: true },
    { title: "not all of it", include: { services: ["shop"], span_names: ["PUT"] }, matches: false },
    { title: "expression", include: { match_type: "regexp", span_names: ["^G"] }, matches: true },
    {
      title: "expression on a number",
      include: { match_type: "regexp", attributes: [{ key: "code", value: "2.." }] },
      matches: true,
    },
  ];
  test.each(cases)("are chosen by $title", async ({ include, matches }) => {
    const batch = buildTraces([{ ...origin, name: "GET", kind: 2, attributes: { code: 200n } }]);
    const section = { match_type: "strict", ...include };
    const actions = [{ key: "hit", value: true, action: "insert" }];
    const [included] = await runProcessor(attributes, { include: section, actions }, batch);
    const [excluded] = await runProcessor(attributes, { exclude: section, actions }, batch);
    expect(spansOf(included)[0]?.attributes.has("hit")).toBe(matches);
    expect(spansOf(excluded)[0]?.attributes.has("hit")).toBe(!matches);
  });
});

describe("attributes of log records", () => {
  const row: LogRow = { body: "disk full", severityNumber: 17, severityText: "ERROR", attributes: { host: "a" } };
  test.each([
    [{ log_bodies: ["full"], match_type: "regexp" }, true],
    [{ log_bodies: ["full"], match_type: "strict" }, false],
    [{ log_severity_texts: ["ERROR"], match_type: "strict" }, true],
    [{ log_severity_number: { min: 17 } }, true],
    [{ log_severity_number: { min: 18 } }, false],
  ])("are chosen by %j", async (include, matches) => {
    const actions = [{ key: "hit", value: 1.5, action: "insert" }];
    const [out] = await runProcessor(attributes, { include, actions }, buildLogs([row]));
    const [resource] = decodeLogs(out?.requests[0]?.bytes ?? new Uint8Array());
    const record = resource?.scopeLogs[0]?.logRecords[0];
    expect([record?.body, record?.severityText, record?.attributes.get("hit")]).toEqual([
      "disk full",
      "ERROR",
      matches ? 1.5 : undefined,
    ]);
  });
});

describe("editing bytes", () => {
  const key = fc.constantFrom("a", "b", "c", "long key of more than a few bytes", "");
  const value = fc.oneof(
    fc.constantFrom<AttributeValue>("x", "", true, null, 1.5, 7n, Uint8Array.of(1, 2)),
    fc.array(fc.constantFrom<AttributeValue>("x", 1n), { maxLength: 3 }),
  );
  const record = fc.dictionary(key, value, { maxKeys: 4 });
  const action = fc.oneof(
    fc.record({
      key: key.filter(Boolean),
      action: fc.constantFrom("insert", "update", "upsert"),
      value: fc.constantFrom("new", 5, true),
    }),
    fc.record({
      key: key.filter(Boolean),
      action: fc.constantFrom("insert", "upsert"),
      from_attribute: key.filter(Boolean),
    }),
    fc.record({ key: key.filter(Boolean), action: fc.constantFrom("delete", "hash") }),
    fc.record({ pattern: fc.constantFrom("^a$", "long", "."), action: fc.constantFrom("delete", "hash") }),
    fc.record({
      key: key.filter(Boolean),
      action: fc.constant("convert"),
      converted_type: fc.constantFrom("string", "int"),
    }),
  );

  test("gives what editing decoded attributes gives", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(record, { maxLength: 5 }),
        fc.array(action, { minLength: 1, maxLength: 4 }),
        async (rows, actions) => {
          const spans: SpanRow[] = rows.map((attributes, i) => ({
            name: `span ${i}`,
            attributes,
            resource: { r: BigInt(i % 2) },
            status: { code: 1 },
          }));
          const batch = buildTraces(spans);
          const { actions: compiled } = parseConfig(attributes, { actions }) as {
            actions: Parameters<typeof compileActions>[0];
          };
          const edit = compileActions(compiled);
          const [out = { ...batch, requests: [] }] = await runProcessor(attributes, { actions }, batch);
          const expected = spansOf(batch).map((span) => ({
            ...span,
            attributes: new Map([...edit(span.attributes)].sort(byKey)),
          }));
          const found = spansOf(out).map((span) => ({
            ...span,
            attributes: new Map([...span.attributes].sort(byKey)),
          }));
          expect(found).toEqual(expected);
          expect(out.requests.map(({ items }) => items)).toEqual([spans.length]);
        },
      ),
    );
  });
});

const byKey = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]) => (a < b ? -1 : a > b ? 1 : 0);

test("attributes of spans come from the client", async () => {
  const client = clientInfo({ metadata: new Map([["tenant", ["a"]]]) });
  const actions = [{ key: "tenant", from_context: "metadata.tenant", action: "insert" }];
  const batch = { ...buildTraces([{ name: "x" }]), client };
  const [out] = await runProcessor(attributes, { actions }, batch);
  expect([spansOf(out).map((span) => plain(span.attributes)), out?.client]).toEqual([[{ tenant: "a" }], client]);
});
