/** Names of units: OTLP's UCUM codes as Prometheus words, and back. */

const mainWords: ReadonlyMap<string, string> = new Map([
  ["d", "days"],
  ["h", "hours"],
  ["min", "minutes"],
  ["s", "seconds"],
  ["ms", "milliseconds"],
  ["us", "microseconds"],
  ["ns", "nanoseconds"],
  ["By", "bytes"],
  ["KiBy", "kibibytes"],
  ["MiBy", "mebibytes"],
  ["GiBy", "gibibytes"],
  ["TiBy", "tibibytes"],
  ["KBy", "kilobytes"],
  ["MBy", "megabytes"],
  ["GBy", "gigabytes"],
  ["TBy", "terabytes"],
  ["m", "meters"],
  ["V", "volts"],
  ["A", "amperes"],
  ["J", "joules"],
  ["W", "watts"],
  ["g", "grams"],
  ["Cel", "celsius"],
  ["Hz", "hertz"],
  ["1", ""],
  ["%", "percent"],
]);

const perWords: ReadonlyMap<string, string> = new Map([
  ["s", "second"],
  ["m", "minute"],
  ["h", "hour"],
  ["d", "day"],
  ["w", "week"],
  ["mo", "month"],
  ["y", "year"],
]);

/** A unit as the suffixes of a metric name; either part may be empty. */
export interface UnitSuffixes {
  readonly main: string;
  /** With `per_` in front. */
  readonly per: string;
}

/** The suffixes of an OTLP unit, as its words stand: not yet made fit for an escaped name. */
export function rawUnitSuffixes(unit: string): UnitSuffixes {
  const slash = unit.indexOf("/");
  const mainCode = (slash < 0 ? unit : unit.slice(0, slash)).trim();
  const perCode = slash < 0 ? "" : unit.slice(slash + 1).trim();
  const per = /[{}]/.test(perCode) ? "" : (perWords.get(perCode) ?? perCode);
  return {
    main: /[{}]/.test(mainCode) ? "" : (mainWords.get(mainCode) ?? mainCode),
    per: per === "" ? "" : `per_${per}`,
  };
}

/** The suffixes of an OTLP unit made of letters, digits, `:` and `_` only. */
export function escapedUnitSuffixes(unit: string): UnitSuffixes {
  const raw = rawUnitSuffixes(unit);
  const cleanPer = escapeUnit(raw.per).replace(/_$/, "");
  const per = cleanPer === "per" ? "" : cleanPer;
  const main = escapeUnit(raw.main);
  return { main: per === "" ? main : main.replace(/_$/, ""), per };
}

function escapeUnit(text: string): string {
  return text
    .replace(/[^A-Za-z0-9:_]/gu, "_")
    .replace(/_{2,}/g, "_")
    .replace(/^_/, "");
}

/** The unit as remote-write metadata has it, e.g. `meters_per_second`. */
export function metadataUnit(unit: string): string {
  const { main, per } = escapedUnitSuffixes(unit);
  return main !== "" && per !== "" ? `${main}_${per}` : main + per;
}

const mainCodes: ReadonlyMap<string, string> = new Map([
  ...Array.from(mainWords, ([code, word]): [string, string] => [word, code]).filter(([word]) => word !== ""),
  // OpenMetrics pages use the standard word as well as the one that the exporter side writes.
  ["tebibytes", "TiBy"],
  ["ratio", "1"],
]);

const perCodes: ReadonlyMap<string, string> = new Map(Array.from(perWords, ([code, word]) => [word, code]));

/** The OTLP unit of the word in a UNIT line; words that are not known stay as they are. */
export function ucumUnit(word: string): string {
  const at = word.indexOf("_per_");
  if (at < 0) return mainCodes.get(word) ?? word;
  const main = word.slice(0, at);
  const per = word.slice(at + "_per_".length);
  return `${mainCodes.get(main) ?? main}/${perCodes.get(per) ?? per}`;
}
