/** Decodes header blocks of HTTP/2 (HPACK, RFC 7541), with bounds. */

import { endOfString, type HeaderField, headerField, huffmanTree, staticTable } from "./hpack-tables.ts";
import { Http2Error, http2Codes } from "./http2-wire.ts";

/** The size of the dynamic table that both sides begin with; more is never announced. */
const maxTableBytes = 4096;
/** An integer above this is no index or length of anything that is taken. */
const maxInteger = 2 ** 24;
const maxIntegerShift = 28;

const namePattern = /^:?[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const badValuePattern = /[\0-\x08\x0a-\x1f\x7f]|^[ \t]|[ \t]$/;

/** The decoder of one connection: blocks must be given to it in the order they come, all of them. */
export class HpackDecoder {
  /** Oldest first. */
  readonly #entries: HeaderField[] = [];
  #tableBytes = 0;
  #capacityBytes = maxTableBytes;
  #block: Buffer = Buffer.alloc(0);
  #at = 0;
  /** Counts changes of the table: while it stays, the same bytes are the same headers. */
  #changes = 0;

  get changes(): number {
    return this.#changes;
  }

  /** Calls `take` for each header of the block. Throws Http2Error; the connection cannot go on after that. */
  decode(block: Buffer, take: (field: HeaderField) => void): void {
    this.#block = block;
    this.#at = 0;
    let mayResize = true;
    while (this.#at < block.length) {
      const first = block[this.#at] as number;
      if ((first & 0xe0) === 0x20) {
        if (!mayResize) throw fault("a table size behind a header");
        this.#resize(this.#integer(5));
        continue;
      }
      mayResize = false;
      if (first >= 0x80) take(this.#field(this.#integer(7)));
      else if (first >= 0x40) this.#insert(take, this.#literal(6));
      else take(this.#literal(4));
    }
  }

  #insert(take: (field: HeaderField) => void, field: HeaderField): void {
    take(field);
    this.#changes += 1;
    this.#evict(this.#capacityBytes - field.size);
    if (field.size > this.#capacityBytes) return;
    this.#entries.push(field);
    this.#tableBytes += field.size;
  }

  #resize(bytes: number): void {
    if (bytes > maxTableBytes) throw fault("a table above the announced size");
    this.#changes += 1;
    this.#capacityBytes = bytes;
    this.#evict(bytes);
  }

  #evict(leftBytes: number): void {
    let count = 0;
    while (this.#tableBytes > leftBytes && count < this.#entries.length) {
      this.#tableBytes -= (this.#entries[count] as HeaderField).size;
      count += 1;
    }
    if (count > 0) this.#entries.splice(0, count);
  }

  #field(index: number): HeaderField {
    const field =
      index <= staticTable.length
        ? staticTable[index - 1]
        : this.#entries[this.#entries.length - (index - staticTable.length)];
    if (field === undefined) throw fault("an index of no header");
    return field;
  }

  #literal(prefixBits: number): HeaderField {
    const index = this.#integer(prefixBits);
    const known = index === 0 ? undefined : this.#field(index);
    const name = known === undefined ? this.#string() : known.name;
    const value = this.#string();
    const isValidName = known === undefined ? namePattern.test(name) : known.isValid || namePattern.test(name);
    return headerField(name, value, isValidName && !badValuePattern.test(value));
  }

  #integer(prefixBits: number): number {
    const mask = (1 << prefixBits) - 1;
    let value = this.#byte() & mask;
    if (value < mask) return value;
    for (let shift = 0; shift < maxIntegerShift; shift += 7) {
      const byte = this.#byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (value > maxInteger) break;
      if (byte < 0x80) return value;
    }
    throw fault("a number out of range");
  }

  #byte(): number {
    const byte = this.#block[this.#at];
    if (byte === undefined) throw fault("a header block that is cut off");
    this.#at += 1;
    return byte;
  }

  #string(): string {
    const isPacked = (this.#block[this.#at] ?? 0) >= 0x80;
    const length = this.#integer(7);
    const to = this.#at + length;
    if (to > this.#block.length) throw fault("a header block that is cut off");
    const text = isPacked ? unpackHuffman(this.#block, this.#at, to) : this.#block.toString("latin1", this.#at, to);
    this.#at = to;
    return text;
  }
}

function fault(message: string): Http2Error {
  return new Http2Error(http2Codes.COMPRESSION_ERROR, message);
}

const maxPaddingBits = 7;

function unpackHuffman(bytes: Uint8Array, from: number, to: number): string {
  const codes: number[] = [];
  let node = 0;
  let depth = 0;
  let isPadding = true;
  for (let at = from; at < to; at++) {
    const byte = bytes[at] as number;
    for (let shift = 7; shift >= 0; shift--) {
      const bit = (byte >>> shift) & 1;
      const next = huffmanTree[2 * node + bit] as number;
      depth += 1;
      isPadding = isPadding && bit === 1;
      if (next >= 0) {
        node = next;
        continue;
      }
      const symbol = -1 - next;
      if (symbol === endOfString) throw fault("an end within a packed header");
      codes.push(symbol);
      node = 0;
      depth = 0;
      isPadding = true;
    }
  }
  if (depth > maxPaddingBits || !isPadding) throw fault("a packed header that is cut off");
  return textOf(codes);
}

const maxArguments = 1024;

function textOf(codes: readonly number[]): string {
  let text = "";
  for (let at = 0; at < codes.length; at += maxArguments) {
    text += String.fromCharCode(...codes.slice(at, at + maxArguments));
  }
  return text;
}
