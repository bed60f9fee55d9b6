/** Arbitrary exposition pages for property tests: series, numbers as Go prints them, comments, times, exemplars, faults. */

import fc from "fast-check";

export interface PageLine {
  /** Whole comment lines before the sample. */
  readonly comments: readonly string[];
  readonly series: string;
  readonly value: string;
  /** With its leading blank, or empty. */
  readonly time: string;
  /** OpenMetrics only; with its leading blank, or empty. */
  readonly exemplar: string;
}

/** A double as Go's `strconv.FormatFloat(v, 'g', -1, 64)` prints it. */
export function goFloat(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  if (Object.is(value, -0)) return "-0";
  const [mantissa = "", power = "0"] = value.toExponential().split("e");
  const exponent = Number(power);
  if (exponent >= -4 && exponent < 21 && (exponent < 6 || Math.abs(value) < 1e6)) return fixed(value);
  const sign = exponent < 0 ? "-" : "+";
  return `${mantissa}e${sign}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

function fixed(value: number): string {
  const text = String(value);
  if (!text.includes("e")) return text;
  const [mantissa = "", power = "0"] = text.replace("-", "").split("e");
  const zeros = "0".repeat(Math.abs(Number(power)) - 1);
  return `${value < 0 ? "-" : ""}0.${zeros}${mantissa.replace(".", "")}`;
}

const digits = (min: number, max: number) =>
  fc.array(fc.constantFrom(..."0123456789"), { minLength: min, maxLength: max }).map((list) => list.join(""));

/** Any decimal number text, of any length within reason. */
export const decimalText = fc
  .record({
    sign: fc.constantFrom("", "", "-", "+"),
    whole: digits(0, 24),
    fraction: fc.oneof(
      fc.constant(""),
      digits(0, 24).map((text) => `.${text}`),
    ),
    exponent: fc.oneof(
      { weight: 2, arbitrary: fc.constant("") },
      {
        weight: 1,
        arbitrary: fc
          .tuple(
            fc.constantFrom("e", "E"),
            fc.constantFrom("", "+", "-"),
            fc.nat({ max: 340 }),
            fc.constantFrom("", "0", "00"),
          )
          .map(([letter, sign, power, zeros]) => `${letter}${sign}${zeros}${power}`),
      },
    ),
  })
  .filter(({ whole, fraction }) => /\d/.test(whole + fraction))
  .map(({ sign, whole, fraction, exponent }) => sign + whole + fraction + exponent);

/** Values as exporters write them, and the odd ones. */
export const valueText = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: -10, max: 2_000_000_000 }).map(goFloat) },
  { weight: 3, arbitrary: fc.double().map(goFloat) },
  { weight: 2, arbitrary: fc.double({ min: 0, max: 1e7, noNaN: true }).map((value) => value.toFixed(3)) },
  { weight: 1, arbitrary: decimalText },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...["NaN", "+Inf", "-Inf", "Inf", "nan", "1.234567e+06", "5e-324", "2.2250738585072011e-308", "1e400", "-1e-400"],
      ...[
        "9007199254740993",
        "123456789012345678901234567890",
        "0.1e-22",
        "1e23",
        "8.41e+21",
        ".5",
        "5.",
        "1e",
        "0x10",
        "1_0",
        "-",
      ],
    ),
  },
);

export const familyNames = ["alpha", "beta", "gamma_delta", "drop_me", "epsilon"];

const labelText = fc
  .array(
    fc.tuple(
      fc.constantFrom("a", "b", "le", "code", "job", "instance"),
      fc.constantFrom(
        "",
        "1",
        "0.5",
        "+Inf",
        "x y",
        '\\"q\\\\',
        "\u00e4\u20ac",
        "{1}",
        "/very/long/path/of/some/handler",
        "#",
      ),
    ),
    { maxLength: 3 },
  )
  .map((pairs) => [...new Map(pairs)].map(([name, value]) => `${name}="${value}"`));

/** Series texts of either format; a few names, so that equal ones and other orders of the same labels occur. */
export const seriesText = fc
  .tuple(
    fc.constantFrom(...familyNames),
    fc.constantFrom("", "", "_total", "_bucket", "_sum", "_count"),
    labelText,
    fc.boolean(),
  )
  .map(([family, suffix, labels, isQuoted]) => {
    if (isQuoted && labels.length === 1) return `{${[`"${family}${suffix}"`, ...labels].join(",")}}`;
    return `${family}${suffix}${labels.length === 0 ? "" : `{${labels.join(",")}}`}`;
  });

const typeWords = ["counter", "gauge", "summary"] as const;

/** Comment lines of a family. */
export const commentLines = fc
  .tuple(
    fc.constantFrom(...familyNames),
    fc.constantFrom(...typeWords, "histogram"),
    fc.constantFrom("", "Help.", "help of \\\\ it"),
  )
  .map(([family, type, help]) => [`# HELP ${family} ${help}`, `# TYPE ${family} ${type}`]);

export const timeText = (isOpenMetrics: boolean) =>
  isOpenMetrics
    ? fc.constantFrom("", "", "", " 1", " 1700000000", " 1700000000.123", " -5.5", " 1e9")
    : fc.constantFrom("", "", "", " 1", " 1700000000123", " 0", "  17 ");

/** A sample line with what precedes it. */
export const pageLine = (isOpenMetrics: boolean): fc.Arbitrary<PageLine> =>
  fc.record({
    comments: fc.oneof({ weight: 4, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: commentLines }),
    series: seriesText,
    value: valueText.filter((text) => isOpenMetrics || text !== ""),
    time: timeText(isOpenMetrics),
    exemplar: isOpenMetrics
      ? fc.constantFrom("", "", "", ' # {trace="1"} 0.5', ' # {trace="2",b="c"} 1 1700000000.5')
      : fc.constant(""),
  });

/** The bytes of a page. */
export function renderPage(lines: readonly PageLine[], isOpenMetrics: boolean, tail = ""): Buffer {
  const text = lines
    .map(({ comments, series, value, time, exemplar }) =>
      [...comments, `${series} ${value}${time}${exemplar}`].map((line) => `${line}\n`).join(""),
    )
    .join("");
  return Buffer.from(text + (isOpenMetrics ? "# EOF\n" : tail));
}

/** One damage to the bytes of a page. */
export type Damage = readonly [kind: "set" | "cut" | "insert" | "delete" | "copy", at: number, byte: number];

export const damages: fc.Arbitrary<Damage[]> = fc.array(
  fc.tuple(
    fc.constantFrom("set" as const, "cut" as const, "insert" as const, "delete" as const, "copy" as const),
    fc.nat({ max: 1_000_000 }),
    fc.oneof(
      fc.constantFrom(0x00, 0x09, 0x0a, 0x0d, 0x20, 0x22, 0x23, 0x2c, 0x2e, 0x30, 0x65, 0x7b, 0x7d, 0x80, 0xff),
      fc.nat({ max: 255 }),
    ),
  ),
  { maxLength: 3 },
);

/** The page with damages done to it, wherever they fall. */
export function damagePage(page: Buffer, list: readonly Damage[]): Buffer {
  let bytes = page;
  for (const [kind, position, byte] of list) {
    const at = position % (bytes.length + 1);
    const [head, rest] = [bytes.subarray(0, at), bytes.subarray(at)];
    if (kind === "cut") bytes = Buffer.from(head);
    else if (kind === "insert") bytes = Buffer.concat([head, Buffer.of(byte), rest]);
    else if (kind === "delete") bytes = Buffer.concat([head, rest.subarray(1 + (byte % 4))]);
    else if (kind === "set") bytes = Buffer.concat([head, Buffer.of(byte), rest.subarray(1)]);
    else bytes = Buffer.concat([head, rest.subarray(0, byte), rest]);
  }
  return bytes;
}
