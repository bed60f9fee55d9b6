/** Sizes such as `15MB` or `1.5GiB`; both spellings of a unit are powers of 1024, as in Prometheus. */

const UNIT_BYTES: ReadonlyMap<string, number> = new Map(
  ["", "K", "M", "G", "T", "P", "E"].flatMap((prefix, power) => {
    const bytes = 1024 ** power;
    return prefix === "" ? [["B", bytes] as const] : [[`${prefix}B`, bytes] as const, [`${prefix}iB`, bytes] as const];
  }),
);

const PART = /(\d+(?:\.\d*)?|\.\d+)([A-Za-z]+)/y;

/** Bytes of a size with units (`1MiB512KiB` adds up) or of a bare `0`; undefined where the text is something else. */
export function parseByteSize(text: string): number | undefined {
  const sign = text.startsWith("-") ? -1 : 1;
  const body = /^[-+]/.test(text) ? text.slice(1) : text;
  if (body === "0") return 0;
  if (body === "") return undefined;
  let bytes = 0;
  PART.lastIndex = 0;
  while (PART.lastIndex < body.length) {
    const part = PART.exec(body);
    const unit = UNIT_BYTES.get(part?.[2] ?? "");
    if (part === null || unit === undefined) return undefined;
    bytes += Number(part[1]) * unit;
  }
  return sign * Math.trunc(bytes);
}
