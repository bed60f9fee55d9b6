/** Scans an exposition page against the remembered one: compares what stands between the values, parses the values. */

/**
 * What stood between the values of a page. Line i is preceded by `text[ends[i - 1]..ends[i])`: comments, the series and
 * the blank before the value, from the byte after the previous line's newline on. What follows the last line is `tail`.
 */
export interface PageTemplate {
  readonly text: Uint8Array<ArrayBuffer>;
  /** Over the bytes of `text`. */
  readonly view: DataView;
  readonly ends: Uint32Array;
  readonly lines: number;
  /** Where the value of a line goes: its row; lines without a row share the row behind the last. Undefined: row = line. */
  readonly rows: Uint32Array | undefined;
}

/** A page being scanned, and how far the scan came. The slow path reads and moves `line` and `offset`. */
export interface PageScan {
  page: Buffer;
  /** Over the bytes of `page`. */
  view: DataView;
  length: number;
  /** The next line of the template to expect. */
  line: number;
  /** Where the next unread line of the page begins. */
  offset: number;
  /** By row: one element more than rows, the last for lines without a row. */
  values: Float64Array;
  /** By row, milliseconds; NaN where the line has none. Undefined until a page has timestamps, and when they are ignored. */
  timestamps: Float64Array | undefined;
  /** Milliseconds per unit of an integer timestamp: 1 in the text format, 1000 in OpenMetrics. */
  timestampScale: number;
  /** Where each line of the template began in the page, by line. */
  starts: Uint32Array;
  /** 1 for each line of the template seen in this page; the kernel stops before a line that was seen. */
  seen: Uint8Array;
}

const newline = 0x0a;
const space = 0x20;
const zero = 0x30;
const nine = 0x39;
const dot = 0x2e;
const minus = 0x2d;
const plus = 0x2b;
const lowerE = 0x65;
const upperE = 0x45;

/** Powers of ten that a double holds exactly. */
const powers = new Float64Array(23);
for (let i = 0; i < powers.length; i++) powers[i] = Number(`1e${i}`);
/** Mantissas below this stay exact when another digit is appended. */
const maxMantissa = 900_719_925_474_099;

/** Digits, signs, point and exponent. */
function isNumberByte(byte: number): boolean {
  return (byte >= zero && byte <= nine) || byte === dot || byte === minus || byte === plus || (byte | 0x20) === lowerE;
}

const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
/** Longer numbers go to the slow path. */
const maxDecimalBytes = 64;

/** The double nearest to `page[start..end)`, or NaN when that is no finite decimal number. */
function parseDecimal(page: Buffer, start: number, end: number): number {
  if (end - start > maxDecimalBytes) return Number.NaN;
  const text = page.toString("latin1", start, end);
  if (!decimal.test(text)) return Number.NaN;
  const value = Number(text);
  return Number.isFinite(value) ? value : Number.NaN;
}

/**
 * Reads lines as long as they are the template's next ones with a plain number behind them. Returns true when all lines
 * of the template were read, false when the line at `scan.offset` needs the slow path. Never throws, never reads
 * outside `page[0..length)`.
 *
 * One loop over all lines: the call per line that smaller functions would need costs 20 to 30 ns of about 90.
 */
export function scanPage(template: PageTemplate, scan: PageScan): boolean {
  const { page, length, view, values, timestamps, starts, seen } = scan;
  const { ends, lines, rows } = template;
  const expected = template.view;
  const text = template.text;
  let offset = scan.offset;
  let line = scan.line;
  let from = line === 0 ? 0 : (ends[line - 1] as number);
  for (; line < lines; line++) {
    const to = ends[line] as number;
    const size = to - from;
    let at = offset + size;
    // A number and its newline take two bytes at least; a line that moved may have been read already.
    if (at + 2 > length || seen[line] !== 0) break;
    let t = from;
    let p = offset;
    const wide = to - 8;
    // Eight bytes at a time as doubles. Where they do not tell bytes apart, the bytes decide: NaN patterns, which only
    // some UTF-8 has, and eight NULs, which equal minus zero.
    while (t <= wide) {
      const word = expected.getFloat64(t, true);
      if (word === 0 || word !== view.getFloat64(p, true)) break;
      t += 8;
      p += 8;
    }
    while (t < to && page[p] === text[t]) {
      t++;
      p++;
    }
    if (t !== to) break;
    // The number: sign, digits, fraction, exponent; exact or handed over.
    const tokenStart = at;
    let byte = page[at] as number;
    let negative = false;
    if (byte === minus) {
      negative = true;
      byte = page[++at] as number;
    }
    let mantissa = 0;
    let digits = 0;
    let exponent = 0;
    while (byte >= zero && byte <= nine && mantissa < maxMantissa) {
      mantissa = mantissa * 10 + (byte - zero);
      digits++;
      byte = page[++at] as number;
    }
    if (byte === dot) {
      byte = page[++at] as number;
      const start = at;
      while (byte >= zero && byte <= nine && mantissa < maxMantissa) {
        mantissa = mantissa * 10 + (byte - zero);
        byte = page[++at] as number;
      }
      exponent = start - at;
      digits -= exponent;
    }
    let exact = digits > 0;
    if (byte === lowerE || byte === upperE) {
      byte = page[++at] as number;
      let sign = 1;
      if (byte === minus || byte === plus) {
        if (byte === minus) sign = -1;
        byte = page[++at] as number;
      }
      if (byte < zero || byte > nine) exact = false;
      let power = 0;
      while (byte >= zero && byte <= nine && power < 1000) {
        power = power * 10 + (byte - zero);
        byte = page[++at] as number;
      }
      exponent += sign * power;
    }
    let value = mantissa;
    if (!exact || exponent > 22 || exponent < -22 || (byte !== newline && byte !== space)) {
      // More digits than a double's mantissa surely holds, or a far exponent: the runtime rounds correctly.
      while (at < length && isNumberByte(page[at] as number)) at++;
      value = parseDecimal(page, tokenStart, at);
      if (Number.isNaN(value)) break;
      negative = false;
      byte = page[at] as number;
    } else if (exponent > 0) value *= powers[exponent] as number;
    else if (exponent < 0) value /= powers[-exponent] as number;
    const row = rows === undefined ? line : (rows[line] as number);
    if (byte === newline) {
      if (at >= length) break;
      if (timestamps !== undefined) timestamps[row] = Number.NaN;
    } else if (byte === space && timestamps !== undefined) {
      // A timestamp as the text format has it: digits and a newline.
      let time = 0;
      const start = ++at;
      byte = page[at] as number;
      while (byte >= zero && byte <= nine && at - start < 15) {
        time = time * 10 + (byte - zero);
        byte = page[++at] as number;
      }
      if (at === start || byte !== newline || at >= length) break;
      timestamps[row] = time * scan.timestampScale;
    } else break;
    values[row] = negative ? -value : value;
    starts[line] = offset;
    seen[line] = 1;
    offset = at + 1;
    from = to;
  }
  scan.offset = offset;
  scan.line = line;
  return line === lines;
}
