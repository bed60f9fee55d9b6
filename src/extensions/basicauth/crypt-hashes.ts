/** The hashes of crypt(3) that htpasswd files hold beside bcrypt: Apache's MD5 ($apr1$), SHA-256 ($5$) and SHA-512 ($6$). */

import { createHash, timingSafeEqual } from "node:crypto";

const alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const md5Rounds = 1000;
const md5Pattern = /^\$(apr1|1)\$([^$]{0,8})\$([./0-9A-Za-z]{22})$/;
const shaPattern = /^\$([56])\$(?:rounds=([0-9]{1,9})\$)?([^$]{0,16})\$([./0-9A-Za-z]+)$/;
const defaultShaRounds = 5000;
const minShaRounds = 1000;
/** The standard's bound is a thousand times this: minutes for every attempt. */
const maxShaRounds = 1_000_000;

/** Whether a text is one of these hashes. */
export function isCryptHash(hash: string): boolean {
  if (md5Pattern.test(hash)) return true;
  const [, kind, rounds] = shaPattern.exec(hash) ?? [];
  return kind !== undefined && Number(rounds ?? 0) <= maxShaRounds;
}

/** Whether the password belongs to the hash. */
export function verifyCryptHash(password: string, hash: string): boolean {
  const key = Buffer.from(password);
  const md5 = md5Pattern.exec(hash);
  if (md5 !== null) return sameText(md5Text(key, Buffer.from(md5[2] ?? ""), `$${md5[1]}$`), md5[3] ?? "");
  const [, kind, given, salt = "", wanted = ""] = shaPattern.exec(hash) ?? [];
  const rounds = Math.max(minShaRounds, Number(given ?? defaultShaRounds));
  return sameText(shaText(kind === "5" ? "sha256" : "sha512", key, Buffer.from(salt), rounds), wanted);
}

function sameText(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}

function hashOf(algorithm: string, ...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash(algorithm);
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** So many bytes of the pattern, over and over. */
function repeated(pattern: Buffer, size: number): Buffer {
  return Buffer.alloc(size, pattern);
}

const nothing = Buffer.alloc(0);

function md5Text(key: Buffer, salt: Buffer, magic: string): string {
  const inner = hashOf("md5", key, salt, key);
  const parts = [key, Buffer.from(magic), salt, key.length === 0 ? nothing : repeated(inner, key.length)];
  for (let bits = key.length; bits > 0; bits >>>= 1) {
    parts.push((bits & 1) === 1 ? Buffer.alloc(1) : key.subarray(0, 1));
  }
  let digest = hashOf("md5", ...parts);
  for (let round = 0; round < md5Rounds; round++) {
    const isOdd = round % 2 === 1;
    const middle = [round % 3 === 0 ? nothing : salt, round % 7 === 0 ? nothing : key];
    digest = hashOf("md5", isOdd ? key : digest, ...middle, isOdd ? digest : key);
  }
  const order = [0, 6, 12, 1, 7, 13, 2, 8, 14, 3, 9, 15, 4, 10, 5, 11];
  return encode(digest, order);
}

/** Drepper's "Unix crypt using SHA-256 and SHA-512". */
function shaText(algorithm: "sha256" | "sha512", key: Buffer, salt: Buffer, rounds: number): string {
  const inner = hashOf(algorithm, key, salt, key);
  const parts = [key, salt, key.length === 0 ? nothing : repeated(inner, key.length)];
  for (let bits = key.length; bits > 0; bits >>>= 1) parts.push((bits & 1) === 1 ? inner : key);
  let digest = hashOf(algorithm, ...parts);
  const keyDigest = hashOf(algorithm, ...Array.from({ length: key.length }, () => key));
  const keyBytes = key.length === 0 ? nothing : repeated(keyDigest, key.length);
  const saltTimes = 16 + (digest[0] as number);
  const saltDigest = hashOf(algorithm, ...Array.from({ length: saltTimes }, () => salt));
  const saltPart = salt.length === 0 ? nothing : repeated(saltDigest, salt.length);
  for (let round = 0; round < rounds; round++) {
    const isOdd = round % 2 === 1;
    const middle = [round % 3 === 0 ? nothing : saltPart, round % 7 === 0 ? nothing : keyBytes];
    digest = hashOf(algorithm, isOdd ? keyBytes : digest, ...middle, isOdd ? digest : keyBytes);
  }
  return encode(digest, algorithm === "sha256" ? sha256Order() : sha512Order());
}

/** Groups of three bytes begin in one third after the other; the last ones are left over. */
function sha256Order(): number[] {
  const order: number[] = [];
  for (let i = 0; i < 10; i++) {
    const group = [i, i + 10, i + 20];
    const shift = (3 - (i % 3)) % 3;
    order.push(...group.slice(shift), ...group.slice(0, shift));
  }
  return [...order, 31, 30];
}

function sha512Order(): number[] {
  const order: number[] = [];
  for (let i = 0; i < 21; i++) {
    const group = [i, i + 21, i + 42];
    const shift = i % 3;
    order.push(...group.slice(shift), ...group.slice(0, shift));
  }
  return [...order, 63];
}

/** Groups of three bytes as four characters, lowest six bits first; what is left over at the end has fewer. */
function encode(digest: Buffer, order: readonly number[]): string {
  let text = "";
  for (let at = 0; at < order.length; at += 3) {
    const group = order.slice(at, at + 3).map((index) => digest[index] as number);
    let value = group.reduce((sum, byte) => sum * 256 + byte, 0);
    for (let i = 0; i < Math.ceil((group.length * 8) / 6); i++) {
      text += alphabet[value & 0x3f];
      value >>>= 6;
    }
  }
  return text;
}
