/** What a Collector wrote, from its remote-write requests and its OTLP JSON files, by case and slot. */

import { readFileSync } from "node:fs";
import type { PageExporter } from "./page-exporter.ts";
import { type SinkPath, seriesKey } from "./recording-sink.ts";
import { showBits } from "./remote-write-message.ts";
import { type OracleCase, ScrapeLog, slotMs } from "./scrape-oracle.ts";

/** Texts of the values by series. */
export type SlotView = Map<string, string[]>;

/** By slot, or by the time of an explicit timestamp as `@<slots after the start>`. */
export type CaseSlots = Map<string, SlotView>;

/** Everything that one subject wrote to one output. */
export interface Observations {
  readonly cases: Map<string, CaseSlots>;
  /** Series of which nobody can say whose they are. */
  readonly strays: Set<string>;
}

/** Where a sample's time lies. */
export interface Timeline {
  readonly scraper: string;
  readonly cases: readonly OracleCase[];
  readonly exporters: ReadonlyMap<string, PageExporter>;
  readonly slots: number;
}

/** Finds slots of times; made once for all outputs of a subject. */
export class SlotFinder {
  readonly #log: ScrapeLog;
  readonly #timeline: Timeline;
  readonly #cases: Map<string, OracleCase>;

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
    this.#log = new ScrapeLog([...new Set(timeline.exporters.values())]);
    this.#cases = new Map(timeline.cases.map((one) => [one.name, one]));
  }

  has(name: string | undefined): name is string {
    return name !== undefined && this.#cases.has(name);
  }

  /** The slot as a text, or undefined outside the scenario. */
  find(name: string, timestampMs: number): string | undefined {
    const exporter = this.#timeline.exporters.get(name);
    if (exporter === undefined) return undefined;
    const offsetMs = timestampMs - exporter.slotStartMs(name, 0);
    if (this.#cases.get(name)?.explicit === true && offsetMs % slotMs === 0) {
      const at = offsetMs / slotMs;
      return at >= 0 && at < this.#timeline.slots ? `@${at}` : undefined;
    }
    const slot = this.slotOfScrape(name, timestampMs);
    return slot >= 0 && slot < this.#timeline.slots ? String(slot) : undefined;
  }

  slotOfScrape(name: string, timestampMs: number): number {
    const logged = this.#log.at(this.#timeline.scraper, name, timestampMs)?.slot;
    return logged ?? this.#timeline.exporters.get(name)?.slotAt(name, timestampMs) ?? -1;
  }
}

function newObservations(): Observations {
  return { cases: new Map(), strays: new Set() };
}

const receiverScope = "github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver";
const programVersion = "of the program";
const versionLabel = new RegExp(`(otel_scope_name="${receiverScope}",otel_scope_version=)"[^"]*"`);

function note(into: Observations, name: string, slot: string, key: string, value: string): void {
  const slots = into.cases.get(name) ?? new Map<string, SlotView>();
  into.cases.set(name, slots);
  const view = slots.get(slot) ?? new Map<string, string[]>();
  slots.set(slot, view);
  const values = view.get(key);
  if (values === undefined) view.set(key, [value]);
  else values.push(value);
}

/** Series, values and exemplars of a path of the sink. */
export function observeSink(sink: SinkPath, finder: SlotFinder): Observations {
  const seen = newObservations();
  for (const { key: text, labels, samples, exemplars } of sink.series.values()) {
    // The scope of the receiver carries the version of its program.
    const key = text.replace(versionLabel, `$1"${programVersion}"`);
    const name = [labels.get("case"), labels.get("job")].find((value) => finder.has(value));
    if (name === undefined) {
      seen.strays.add(key);
      continue;
    }
    const scrapes = new Set(samples.map(({ timestampMs }) => timestampMs));
    for (const { bits, timestampMs } of samples) {
      const slot = finder.find(name, timestampMs);
      if (slot !== undefined) note(seen, name, slot, key, showBits(bits));
    }
    for (const { labels: its, bits, timestampMs } of exemplars) {
      const slot = finder.find(name, timestampMs);
      if (slot === undefined) continue;
      const when = scrapes.has(timestampMs) ? "of the scrape" : String(timestampMs);
      const sorted = [...its].sort((a, b) => (a.name < b.name ? -1 : 1));
      note(seen, name, slot, `exemplar of ${key}`, `${seriesKey(sorted)} ${showBits(bits)} ${when}`);
    }
  }
  return seen;
}

interface JsonAttribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}
type JsonObject = Readonly<Record<string, unknown>>;

/** Points of a file of OTLP JSON lines. */
export function observeFile(file: string, finder: SlotFinder): Observations {
  const seen = newObservations();
  for (const line of readFileSync(file, "utf8").split("\n")) {
    if (line === "") continue;
    const request = JSON.parse(line) as { resourceMetrics?: readonly JsonObject[] };
    for (const resource of request.resourceMetrics ?? []) observeResource(seen, resource, finder);
  }
  return seen;
}

function observeResource(seen: Observations, resourceMetrics: JsonObject, finder: SlotFinder): void {
  const resource = attributesOf(resourceMetrics["resource"]);
  for (const scopeMetrics of objects(resourceMetrics["scopeMetrics"])) {
    const { attributes: _, ...scope } = (scopeMetrics["scope"] ?? {}) as JsonObject;
    const version = scope["name"] === receiverScope ? programVersion : scope["version"];
    const scopeText = show({
      ...scope,
      version,
      url: scopeMetrics["schemaUrl"],
      of: attributesOf(scopeMetrics["scope"]),
    });
    for (const metric of objects(scopeMetrics["metrics"])) {
      const { name, description, unit, metadata, ...data } = metric;
      const [kind = "", body = {}] = (Object.entries(data)[0] ?? []) as [string?, JsonObject?];
      const { dataPoints, ...how } = body;
      const metricText = show({ unit, kind, ...how, description, metadata: attributeMap(metadata) });
      for (const point of objects(dataPoints)) {
        const attributes = attributesOf(point);
        const caseName = [attributes["case"], resource["case"], resource["service.name"]]
          .map((value) => value as string | undefined)
          .find((value) => finder.has(value));
        const key = `${name}${show(attributes)} ${metricText}\n      scope ${scopeText}\n      resource ${show(resource)}`;
        if (caseName === undefined) {
          seen.strays.add(key);
          continue;
        }
        const timeMs = Number(BigInt(String(point["timeUnixNano"])) / 1_000_000n);
        const slot = finder.find(caseName, timeMs);
        if (slot !== undefined) note(seen, caseName, slot, key, pointText(point));
      }
    }
  }
}

function pointText({ attributes: _, timeUnixNano, exemplars, ...rest }: JsonObject): string {
  const whole = String(timeUnixNano).endsWith("000000") ? "" : ` at ${timeUnixNano}`;
  const examples = objects(exemplars).map(({ filteredAttributes, timeUnixNano: time, ...fields }) =>
    show({
      ...fields,
      time: time === timeUnixNano ? "of the point" : time,
      of: attributeMap(filteredAttributes),
    }),
  );
  return `${show(rest)}${whole}${examples.length === 0 ? "" : ` exemplars ${examples.sort().join(" ")}`}`;
}

function objects(value: unknown): readonly JsonObject[] {
  return Array.isArray(value) ? (value as JsonObject[]) : [];
}

function attributesOf(holder: unknown): Readonly<Record<string, unknown>> {
  return attributeMap((holder as JsonObject | undefined)?.["attributes"]);
}

/** Keys that come twice show all their values. */
function attributeMap(list: unknown): Readonly<Record<string, unknown>> {
  const map: Record<string, unknown> = {};
  for (const { key, value } of objects(list) as unknown as readonly JsonAttribute[]) {
    const [type = "empty", inner] = Object.entries(value ?? {})[0] ?? [];
    const text = type === "stringValue" ? inner : `${type} ${show(inner)}`;
    map[key ?? ""] = key in map ? `${map[key]} and ${text}` : text;
  }
  return map;
}

/** JSON with sorted keys, without undefined ones; a negative zero is seen. */
function show(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(show).join(",")}]`;
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "";
  const entries = Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, inner]) => `${key}: ${show(inner)}`).join(", ")}}`;
}
