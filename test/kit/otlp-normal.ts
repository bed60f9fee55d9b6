/** A form of OTLP metrics requests in which semantically equal ones are equal: a sorted list of points, each with all that names it. */

interface Plain {
  readonly [key: string]: unknown;
}

const dataNames = ["gauge", "sum", "histogram", "exponentialHistogram", "summary"] as const;

function list(value: unknown): Plain[] {
  return (value ?? []) as Plain[];
}

/** Whether it is a KeyValue; an empty key may be left out. */
function isPair(item: unknown): boolean {
  if (typeof item !== "object" || item === null) return false;
  const { value } = item as { value?: unknown };
  return "key" in item || (typeof value === "object" && Object.keys(item).length === 1);
}

/** Sorted keys, sorted attributes, defaults left out; NaN, -0 and infinities as texts. */
function normal(value: unknown): unknown {
  if (typeof value === "number")
    return Number.isFinite(value) && !Object.is(value, -0) ? value : `number ${Object.is(value, -0) ? "-0" : value}`;
  if (Array.isArray(value)) {
    const items = value.map(normal);
    return value.length > 0 && value.every(isPair)
      ? items.sort((a, b) => compare(JSON.stringify(a), JSON.stringify(b)))
      : items;
  }
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => compare(a, b));
  return Object.fromEntries(entries.map(([key, item]) => [key, normal(item)]));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const isDefault = (value: unknown) =>
  value === undefined ||
  value === "" ||
  value === "0" ||
  Object.is(value, 0) ||
  value === false ||
  (Array.isArray(value) && value.length === 0);

/** A message without the fields that hold proto3's default; `keep` are those with presence. */
function bare(message: Plain, keep: readonly string[]): Plain {
  return Object.fromEntries(Object.entries(message).filter(([key, value]) => keep.includes(key) || !isDefault(value)));
}

function pointOf(point: Plain): Plain {
  const half = (name: string) => {
    const buckets = bare((point[name] ?? {}) as Plain, []);
    return Object.keys(buckets).length === 0 ? undefined : buckets;
  };
  const kept = bare(
    {
      ...point,
      positive: half("positive"),
      negative: half("negative"),
      exemplars: list(point.exemplars).map((exemplar) => bare(exemplar, ["asDouble", "asInt"])),
      quantileValues: list(point.quantileValues).map((pair) => bare(pair, [])),
    },
    ["asDouble", "asInt", "sum", "min", "max"],
  );
  // A stale marker's zero says nothing.
  if ((Number(point.flags ?? 0) & 1) === 1 && Object.is(kept.asDouble, 0)) {
    const { asDouble: _zero, ...rest } = kept;
    return rest;
  }
  return kept;
}

/** The points of a decoded ExportMetricsServiceRequest (see `decodeOtlp`), sorted, as texts. */
export function normalPoints(request: object): string[] {
  const points: string[] = [];
  for (const group of list((request as Plain).resourceMetrics)) {
    const resource = bare((group.resource ?? {}) as Plain, []);
    const refs = list(resource.entityRefs).map((ref) => bare(ref, []));
    const resourceKey = { ...bare({ ...resource, entityRefs: refs }, []), url: group.schemaUrl ?? "" };
    for (const scoped of list(group.scopeMetrics)) {
      const scopeKey = { ...bare((scoped.scope ?? {}) as Plain, []), url: scoped.schemaUrl ?? "" };
      for (const metric of list(scoped.metrics)) {
        const type = dataNames.find((name) => metric[name] !== undefined);
        if (type === undefined) continue;
        const { dataPoints, ...kind } = metric[type] as Plain;
        const { [type]: _data, ...head } = metric;
        for (const point of list(dataPoints)) {
          const all = {
            resourceKey,
            scopeKey,
            metric: bare(head, []),
            type,
            kind: bare(kind, []),
            point: pointOf(point),
          };
          points.push(JSON.stringify(normal(all)));
        }
      }
    }
  }
  return points.sort(compare);
}

/** A request of any signal with sorted keys and attributes and without defaults. */
export function normalRequest(request: object): unknown {
  return normal(prune(request, ""));
}

const withPresence: ReadonlySet<string> = new Set([
  "asDouble",
  "asInt",
  "sum",
  "min",
  "max",
  "stringValue",
  "boolValue",
  "intValue",
  "doubleValue",
  "bytesValue",
]);

function prune(value: unknown, key: string): unknown {
  if (Array.isArray(value)) return value.map((item) => prune(item, key));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value)
    .map(([name, item]) => [name, prune(item, name)] as const)
    .filter(
      ([name, item]) => withPresence.has(name) || !(isDefault(item) || (optional.has(name) && isEmptyObject(item))),
    );
  return Object.fromEntries(entries);
}

/** Messages that say nothing when they are empty: a body without a value is no body. */
const optional: ReadonlySet<string> = new Set(["body", "resource", "scope", "status"]);

function isEmptyObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}
