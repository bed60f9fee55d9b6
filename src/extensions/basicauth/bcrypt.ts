/** bcrypt, the hash of `htpasswd -B`: Node has none. */

import { timingSafeEqual } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import { blowfishTables } from "./blowfish-tables.ts";

const pattern = /^\$2[abxy]\$([0-9]{2})\$([./A-Za-z0-9]{22})([./A-Za-z0-9]{31})$/;
const alphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const minCost = 4;
const maxCost = 31;
const maxKeyBytes = 72;
const saltBytes = 16;
const digestBytes = 23;
const rounds = 16;
/** Key schedules of 0.1 ms between two turns of the event loop. */
const schedulesPerTurn = 32;
const plainText = Buffer.from("OrpheanBeholderScryDoubt");
const zeroSalt = new Int32Array(4);

/** Whether a text is a bcrypt hash. */
export function isBcrypt(hash: string): boolean {
  const cost = Number(pattern.exec(hash)?.[1] ?? 0);
  return cost >= minCost && cost <= maxCost;
}

/** Whether the password belongs to the hash. Lets other work run in between. */
export async function verifyBcrypt(password: string, hash: string): Promise<boolean> {
  const [, cost = "", saltText = "", digestText = ""] = pattern.exec(hash) ?? [];
  const salt = decode(saltText, saltBytes);
  const key = Buffer.concat([Buffer.from(password), Buffer.alloc(1)]).subarray(0, maxKeyBytes);
  const digest = await bcrypt(key, salt, 2 ** Number(cost));
  return timingSafeEqual(digest, decode(digestText, digestBytes));
}

async function bcrypt(key: Buffer, salt: Buffer, times: number): Promise<Buffer> {
  const tables = blowfishTables();
  const cipher = new Blowfish(Int32Array.from(tables.subkeys), Int32Array.from(tables.boxes));
  const [keyWords, saltWords] = [cyclicWords(key), cyclicWords(salt)];
  const saltBlocks = saltWords.subarray(0, 4);
  cipher.expand(keyWords, saltBlocks);
  for (let i = 0; i < times; i++) {
    if (i % schedulesPerTurn === schedulesPerTurn - 1) await turn();
    cipher.expand(keyWords, zeroSalt);
    cipher.expand(saltWords, zeroSalt);
  }
  const words = cyclicWords(plainText).subarray(0, 6);
  for (let block = 0; block < words.length; block += 2) {
    for (let i = 0; i < 64; i++) cipher.encrypt(words, block);
  }
  const digest = Buffer.alloc(24);
  for (const [i, word] of words.entries()) digest.writeInt32BE(word, i * 4);
  return digest.subarray(0, digestBytes);
}

/** 18 big-endian words of the bytes, over and over. */
function cyclicWords(bytes: Buffer): Int32Array {
  const words = new Int32Array(18);
  for (let i = 0; i < words.length * 4; i++) {
    words[i >> 2] = ((words[i >> 2] as number) << 8) | (bytes[i % bytes.length] as number);
  }
  return words;
}

class Blowfish {
  readonly #subkeys: Int32Array;
  readonly #boxes: Int32Array;

  constructor(subkeys: Int32Array, boxes: Int32Array) {
    this.#subkeys = subkeys;
    this.#boxes = boxes;
  }

  /** Mixes in a key, and a salt of four words. */
  expand(key: Int32Array, salt: Int32Array): void {
    const subkeys = this.#subkeys;
    for (let i = 0; i < subkeys.length; i++) subkeys[i] = (subkeys[i] as number) ^ (key[i] as number);
    const block = new Int32Array(2);
    let at = 0;
    for (const table of [subkeys, this.#boxes]) {
      for (let i = 0; i < table.length; i += 2) {
        block[0] = (block[0] as number) ^ (salt[at] as number);
        block[1] = (block[1] as number) ^ (salt[at + 1] as number);
        at ^= 2;
        this.encrypt(block, 0);
        table[i] = block[0] as number;
        table[i + 1] = block[1] as number;
      }
    }
  }

  /** Encrypts the two words at `at` in place. */
  encrypt(words: Int32Array, at: number): void {
    const subkeys = this.#subkeys;
    const boxes = this.#boxes;
    let left = words[at] as number;
    let right = words[at + 1] as number;
    for (let round = 0; round < rounds; round += 2) {
      left ^= subkeys[round] as number;
      right ^=
        ((((boxes[left >>> 24] as number) + (boxes[256 + ((left >>> 16) & 0xff)] as number)) ^
          (boxes[512 + ((left >>> 8) & 0xff)] as number)) +
          (boxes[768 + (left & 0xff)] as number)) |
        0;
      right ^= subkeys[round + 1] as number;
      left ^=
        ((((boxes[right >>> 24] as number) + (boxes[256 + ((right >>> 16) & 0xff)] as number)) ^
          (boxes[512 + ((right >>> 8) & 0xff)] as number)) +
          (boxes[768 + (right & 0xff)] as number)) |
        0;
    }
    words[at] = right ^ (subkeys[rounds + 1] as number);
    words[at + 1] = left ^ (subkeys[rounds] as number);
  }
}

/** bcrypt's own base64: six bits a character, first bits first. */
function decode(text: string, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  let [bits, count, at] = [0, 0, 0];
  for (const character of text) {
    bits = ((bits << 6) | alphabet.indexOf(character)) & 0xffff;
    count += 6;
    if (count < 8 || at >= size) continue;
    count -= 8;
    bytes[at++] = (bits >>> count) & 0xff;
  }
  return bytes;
}
