/**
 * The page scanner in AssemblyScript with SIMD: the twin of src/kernels/scan-page.ts, which is its definition. It owns no
 * memory: everything it reads and writes is laid out by src/kernels/wasm-scanner.ts in the fields below.
 */

/** Byte addresses of the fields; the other side has the same table. All are 32-bit but the scale, a double. */
const pageField: usize = 0;
const endField: usize = 4;
const isLastField: usize = 8;
const baseField: usize = 12;
const offsetField: usize = 16;
const lineField: usize = 20;
const linesField: usize = 24;
const blocksField: usize = 28;
const passedField: usize = 32;
const movedField: usize = 36;
const readField: usize = 40;
const countField: usize = 44;
const eventCountField: usize = 48;
const oddCountField: usize = 52;
const sizesField: usize = 56;
const hashesField: usize = 60;
const seenField: usize = 64;
const blockLinesField: usize = 68;
const blockSizesField: usize = 72;
const valuesField: usize = 76;
const timesField: usize = 80;
const eventsField: usize = 84;
const oddField: usize = 88;
const oddLimitField: usize = 92;
const slotsField: usize = 96;
const slotMaskField: usize = 100;
const scaleField: usize = 104;

/** Constants, written once: the hash key and two tables. */
const nhKey: usize = 256;
const foldKey: usize = nhKey + 1040;
const powers: usize = foldKey + 480;
const maskTable: usize = powers + 184;

const nhBlock: i32 = 1024;
const maxHashed: i32 = 15360;
const maxToken: i32 = 64;
const hasBlock: i32 = 0x8000;
const sizeMask: i32 = 0x7fff;
const longLine: i32 = 0x7fff;
const noEntry: i32 = -1;

const resultDone: i32 = 0;
const resultStopped: i32 = 1;
const resultMore: i32 = 2;
const resultIndex: i32 = 3;
const resultDrain: i32 = 4;

const newline: u32 = 0x0a;
const space: u32 = 0x20;

/** Two Toeplitz-shifted NH sums of up to 1024 bytes per round, folded by a multilinear hash to 32 bits each. */
function hashOf(start: usize, size: i32): u64 {
  let first: u64 = 0;
  let second: u64 = 0;
  let fold: usize = foldKey;
  let p = start;
  let left = size;
  do {
    const count = left < nhBlock ? left : nhBlock;
    let sumA = i64x2.splat(0);
    let sumB = i64x2.splat(0);
    let key: usize = nhKey;
    const whole = p + <usize>(count & ~31);
    while (p < whole) {
      const low = v128.load(p);
      const high = v128.load(p, 16);
      const middle = v128.load(key, 16);
      const lowA = i32x4.add(low, v128.load(key));
      const highA = i32x4.add(high, middle);
      const lowB = i32x4.add(low, middle);
      const highB = i32x4.add(high, v128.load(key, 32));
      sumA = i64x2.add(sumA, i64x2.extmul_low_i32x4_u(lowA, highA));
      sumA = i64x2.add(sumA, i64x2.extmul_high_i32x4_u(lowA, highA));
      sumB = i64x2.add(sumB, i64x2.extmul_low_i32x4_u(lowB, highB));
      sumB = i64x2.add(sumB, i64x2.extmul_high_i32x4_u(lowB, highB));
      p += 32;
      key += 32;
    }
    const rest = count & 31;
    if (rest !== 0) {
      const mask = maskTable + 32 - <usize>rest;
      const low = v128.and(v128.load(p), v128.load(mask));
      const high = v128.and(v128.load(p, 16), v128.load(mask, 16));
      const middle = v128.load(key, 16);
      const lowA = i32x4.add(low, v128.load(key));
      const highA = i32x4.add(high, middle);
      const lowB = i32x4.add(low, middle);
      const highB = i32x4.add(high, v128.load(key, 32));
      sumA = i64x2.add(sumA, i64x2.extmul_low_i32x4_u(lowA, highA));
      sumA = i64x2.add(sumA, i64x2.extmul_high_i32x4_u(lowA, highA));
      sumB = i64x2.add(sumB, i64x2.extmul_low_i32x4_u(lowB, highB));
      sumB = i64x2.add(sumB, i64x2.extmul_high_i32x4_u(lowB, highB));
      p += <usize>rest;
    }
    const a = i64x2.extract_lane(sumA, 0) + i64x2.extract_lane(sumA, 1) + <i64>count;
    const b = i64x2.extract_lane(sumB, 0) + i64x2.extract_lane(sumB, 1) + <i64>count;
    first += (<u64>a & 0xffffffff) * load<u64>(fold) + (<u64>a >> 32) * load<u64>(fold, 8);
    second += (<u64>b & 0xffffffff) * load<u64>(fold, 16) + (<u64>b >> 32) * load<u64>(fold, 24);
    fold += 32;
    left -= count;
  } while (left > 0);
  return (first >> 32) | (second & 0xffffffff00000000);
}

/** The address of the first newline in [start, limit), or `limit`. Reads up to 15 bytes behind it. */
function findNewline(start: usize, limit: usize): usize {
  const wanted = i8x16.splat(0x0a);
  for (let p = start; p < limit; p += 16) {
    const bits = i8x16.bitmask(i8x16.eq(v128.load(p), wanted));
    if (bits !== 0) {
      const found = p + <usize>ctz(bits);
      return found < limit ? found : limit;
    }
  }
  return limit;
}

/** The entry with this hash, or -1. */
function lookUp(hash: u64, slots: usize, mask: u32, hashes: usize): i32 {
  let slot = <u32>hash & mask;
  let entry = load<u32>(slots + ((<usize>slot) << 2));
  while (entry !== 0 && load<u64>(hashes + ((<usize>(entry - 1)) << 3)) !== hash) {
    slot = (slot + 1) & mask;
    entry = load<u32>(slots + ((<usize>slot) << 2));
  }
  return <i32>entry - 1;
}

/** The first block that stands before `line` or a later one. */
function blockFrom(line: i32, blocks: i32, blockLines: usize): i32 {
  let low = 0;
  let high = blocks;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (load<i32>(blockLines + ((<usize>middle) << 2)) < line) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The end of the comment lines that begin at `start`: where a line does not begin with `#`. 0 when too long or cut off. */
function commentEnd(start: usize, limit: usize): usize {
  let p = start;
  while (p < limit && load<u8>(p) === 0x23) {
    const end = findNewline(p, limit);
    if (end === limit) return 0;
    p = end + 1;
  }
  return p < limit ? p : 0;
}

/** Reads on from the state in the fields and leaves the new state there; returns why it stopped. */
export function scan(): i32 {
  const page = <usize>load<u32>(pageField);
  const end = <usize>load<u32>(endField);
  const atEnd = load<i32>(isLastField) !== 0 ? resultStopped : resultMore;
  const base = load<u32>(baseField);
  const lines = load<i32>(linesField);
  const blocks = load<i32>(blocksField);
  const sizes = <usize>load<u32>(sizesField);
  const hashes = <usize>load<u32>(hashesField);
  const seen = <usize>load<u32>(seenField);
  const blockLines = <usize>load<u32>(blockLinesField);
  const blockSizes = <usize>load<u32>(blockSizesField);
  const times = <usize>load<u32>(timesField);
  const slots = <usize>load<u32>(slotsField);
  const slotMask = load<u32>(slotMaskField);
  const scale = load<f64>(scaleField);
  const oddLimit = load<i32>(oddLimitField);
  const oddList = <usize>load<u32>(oddField);
  let offset = page + <usize>load<u32>(offsetField);
  let line = load<i32>(lineField);
  let passed = load<i32>(passedField);
  let moved = load<i32>(movedField);
  let read = load<i32>(readField);
  let count = load<i32>(countField);
  let values = <usize>load<u32>(valuesField) + ((<usize>count) << 3);
  const events = <usize>load<u32>(eventsField);
  let event = events + <usize>(load<i32>(eventCountField) * 12);
  /** The run of lines under way: `to` of its event, or 0. */
  let runTo: i32 = 0;
  let runEvent: usize = 0;
  let oddCount = load<i32>(oddCountField);
  let nextBlock = blockFrom(line, blocks, blockLines);
  let result = resultStopped;
  while (read < lines) {
    let at: usize = 0;
    let found: i32 = noEntry;
    let inPlace: i32 = 1;
    if (line < lines) {
      const word = <i32>load<u16>(sizes + ((<usize>line) << 1));
      let start = offset;
      let expects = load<u8>(seen + line) === 0 ? 1 : 0;
      let block: i32 = noEntry;
      if ((word & hasBlock) !== 0) {
        while (nextBlock < blocks && load<i32>(blockLines + ((<usize>nextBlock) << 2)) < line) nextBlock++;
        block = nextBlock;
        if (expects !== 0 && passed !== block) {
          const size = load<i32>(blockSizes + ((<usize>block) << 2));
          if (load<u8>(seen + lines + block) !== 0 || size > maxHashed) expects = 0;
          else if (offset + <usize>size > end) {
            // What is too near the end of the page for this block may be another line.
            if (atEnd === resultMore) {
              result = resultMore;
              break;
            }
            expects = 0;
          } else if (hashOf(offset, size) !== load<u64>(hashes + ((<usize>(lines + block)) << 3))) expects = 0;
          else start += <usize>size;
        } else if (passed === block) block = noEntry;
      } else if (passed !== noEntry) inPlace = 0;
      if (start !== offset) {
        // The comments are taken by themselves: whatever follows, the page had them here.
        store<u32>(event, lines + block);
        store<u32>(event, lines + block + 1, 4);
        store<u32>(event, <u32>(offset - page) + base, 8);
        event += 12;
        runTo = 0;
        store<u8>(seen + lines + block, 1);
        passed = block;
        offset = start;
      }
      const size = word & sizeMask;
      if (expects !== 0 && size !== longLine) {
        at = offset + <usize>size;
        if (at + 3 > end) {
          if (atEnd === resultMore) {
            result = resultMore;
            break;
          }
        } else if (load<u8>(at) === space && hashOf(offset, size) === load<u64>(hashes + ((<usize>line) << 3))) {
          found = line;
        }
      }
    }
    if (found === noEntry) {
      // Not what comes next in the template: another of its lines or comments, or something new.
      if (offset >= end) {
        result = atEnd;
        break;
      }
      let limit = offset + <usize>(maxHashed + 2 * maxToken);
      if (limit > end) limit = end;
      if (load<u8>(offset) === 0x23) {
        const stop = commentEnd(offset, limit);
        if (stop === 0) {
          result = limit === end ? atEnd : resultStopped;
          break;
        }
        if (passed !== noEntry || stop - offset > <usize>maxHashed) break;
        if (slots === 0) {
          result = resultIndex;
          break;
        }
        const entry = lookUp(hashOf(offset, <i32>(stop - offset)), slots, slotMask, hashes);
        if (entry < lines || load<u8>(seen + entry) !== 0) break;
        store<u32>(event, entry);
        store<u32>(event, entry + 1, 4);
        store<u32>(event, <u32>(offset - page) + base, 8);
        event += 12;
        runTo = 0;
        store<u8>(seen + entry, 1);
        passed = entry - lines;
        moved = 1;
        line = load<i32>(blockLines + ((<usize>passed) << 2));
        nextBlock = passed;
        offset = stop;
        continue;
      }
      const lineEnd = findNewline(offset, limit);
      if (lineEnd === limit) {
        result = limit === end ? atEnd : resultStopped;
        break;
      }
      let blank = lineEnd;
      for (let tries = times !== 0 ? 2 : 1; tries > 0 && found < 0; tries--) {
        let p = blank - 1;
        const lowest = blank > offset + <usize>maxToken + 1 ? blank - <usize>maxToken - 1 : offset;
        while (p > lowest && load<u8>(p) !== space) p--;
        if (p <= offset || load<u8>(p) !== space || p - offset > <usize>maxHashed) break;
        blank = p;
        const hash = hashOf(offset, <i32>(blank - offset));
        for (let next = line; next < lines && next <= line + 4; next++) {
          if (load<u64>(hashes + ((<usize>next) << 3)) !== hash) continue;
          found = next;
          break;
        }
        if (found >= 0) break;
        if (slots === 0) {
          result = resultIndex;
          break;
        }
        found = lookUp(hash, slots, slotMask, hashes);
      }
      if (found < 0) break;
      if (found >= lines || load<u8>(seen + found) !== 0) break;
      at = blank;
      inPlace = 0;
    }
    // The number: sign, digits, fraction, exponent; rounded here when that is exact, by the runtime when not.
    at++;
    const token = at;
    let byte: u32 = load<u8>(at);
    let isNegative = false;
    if (byte === 0x2d || byte === 0x2b) {
      isNegative = byte === 0x2d;
      byte = load<u8>(++at);
    }
    let value: f64 = 0;
    let isOdd = false;
    if (byte - 48 <= 9 || byte === 0x2e) {
      let mantissa: u64 = 0;
      const digitsStart = at;
      while (byte - 48 <= 9) {
        mantissa = mantissa * 10 + <u64>(byte - 48);
        byte = load<u8>(++at);
      }
      let digits = <i32>(at - digitsStart);
      let exponent: i32 = 0;
      if (byte === 0x2e) {
        const fraction = at + 1;
        byte = load<u8>(++at);
        while (byte - 48 <= 9) {
          mantissa = mantissa * 10 + <u64>(byte - 48);
          byte = load<u8>(++at);
        }
        exponent = <i32>(fraction - at);
        digits -= exponent;
      }
      if (digits === 0) {
        if (at >= end) result = atEnd;
        break;
      }
      if ((byte | 0x20) === 0x65) {
        byte = load<u8>(++at);
        let sign: i32 = 1;
        if (byte === 0x2d || byte === 0x2b) {
          if (byte === 0x2d) sign = -1;
          byte = load<u8>(++at);
        }
        if (byte - 48 > 9) {
          if (at >= end) result = atEnd;
          break;
        }
        let power: i32 = 0;
        while (byte - 48 <= 9) {
          if (power < 10000) power = power * 10 + <i32>(byte - 48);
          byte = load<u8>(++at);
        }
        // Numbers near the end of the range are the slow path's, so that the runtime never makes an infinity here.
        if (sign > 0 && power > 230) break;
        exponent += sign * power;
      }
      if (digits > 19 || mantissa > 9007199254740992 || exponent > 22 || exponent < -22) isOdd = true;
      else {
        value = <f64>mantissa;
        if (exponent > 0) value *= load<f64>(powers + ((<usize>exponent) << 3));
        else if (exponent < 0) value /= load<f64>(powers + ((<usize>-exponent) << 3));
        if (isNegative) value = -value;
      }
    } else {
      const word = load<u32>(at) & 0xffffff;
      if (word === 0x4e614e && at === token) value = NaN;
      else if (word === 0x666e49 && at !== token) value = isNegative ? -Infinity : Infinity;
      else {
        if (at + 4 >= end) result = atEnd;
        break;
      }
      at += 3;
      byte = load<u8>(at);
    }
    if (at >= end) {
      result = atEnd;
      break;
    }
    if (at - token > <usize>maxToken) break;
    const tokenEnd = at;
    let time: f64 = NaN;
    if (byte !== newline) {
      if (byte !== space || times === 0) break;
      const start = ++at;
      let number: i64 = 0;
      byte = load<u8>(at);
      while (byte - 48 <= 9 && at - start < 15) {
        number = number * 10 + <i64>(byte - 48);
        byte = load<u8>(++at);
      }
      if (at >= end) {
        result = atEnd;
        break;
      }
      if (at === start || byte !== newline) break;
      time = <f64>number * scale;
    }
    if (isOdd) {
      if (oddCount === oddLimit) {
        result = resultDrain;
        break;
      }
      const entry = oddList + <usize>(oddCount * 12);
      store<u32>(entry, count);
      store<u32>(entry, <u32>(token - page) + base, 4);
      store<u32>(entry, <u32>(tokenEnd - page) + base, 8);
      oddCount++;
    }
    if (found !== line) {
      inPlace = 0;
      runTo = 0;
      nextBlock = blockFrom(found, blocks, blockLines);
    }
    if (inPlace === 0) {
      const flagged = (<i32>load<u16>(sizes + ((<usize>found) << 1)) & hasBlock) !== 0;
      if (found !== line || flagged !== (passed !== noEntry) || (flagged && passed !== nextBlock)) moved = 1;
    }
    if (runTo !== found || runTo === 0) {
      runEvent = event;
      store<u32>(event, found);
      store<u32>(event, <u32>(offset - page) + base, 8);
      event += 12;
    }
    runTo = found + 1;
    store<u32>(runEvent, runTo, 4);
    store<f64>(values, value);
    if (times !== 0) store<f64>(times + ((<usize>count) << 3), time);
    values += 8;
    count++;
    store<u8>(seen + found, 1);
    read++;
    passed = noEntry;
    line = found + 1;
    offset = at + 1;
  }
  if (read === lines) result = resultDone;
  store<u32>(offsetField, <u32>(offset - page));
  store<i32>(lineField, line);
  store<i32>(passedField, passed);
  store<i32>(movedField, moved);
  store<i32>(readField, read);
  store<i32>(countField, count);
  store<i32>(eventCountField, <i32>((event - events) / 12));
  store<i32>(oddCountField, oddCount);
  return result;
}

/** Hashes `size` bytes at `start`; for the test that both kernels hash alike. */
export function hash(start: usize, size: i32): u64 {
  return hashOf(start, size);
}
