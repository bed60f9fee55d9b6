/** Users and password hashes of an htpasswd file, and checks against them that cost little once they succeeded. */

import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { isBcrypt, verifyBcrypt } from "./bcrypt.ts";
import { isCryptHash, verifyCryptHash } from "./crypt-hashes.ts";

/** Hashes of passwords by user; the last line of a user counts. */
export type Htpasswd = ReadonlyMap<string, string>;

/**
 * Reads lines of `user:hash`. Hashes are bcrypt ($2a$, $2b$, $2y$), MD5 ($apr1$), SHA-256 and SHA-512 ($5$, $6$), {SHA},
 * {SSHA}; anything else that does not begin with `$2` is the password itself. `bad` hears the numbers of lines that are no entries.
 */
export function parseHtpasswd(text: string, bad: (line: number) => void): Htpasswd {
  const users = new Map<string, string>();
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line === "") continue;
    const colon = line.indexOf(":");
    const hash = line.slice(colon + 1);
    if (colon < 0 || (hash.startsWith("$2") && !isBcrypt(hash))) bad(index + 1);
    else users.set(line.slice(0, colon), hash);
  }
  return users;
}

/** Hashing longer passwords would cost more than anybody needs. */
const maxPasswordBytes = 1024;
/** Slow hashes that are being checked or wait for it; further attempts are refused. */
const maxWaiting = 16;
/** Pairs that are remembered, because SDKs send the same one with every request. */
const maxRemembered = 1000;

/** Checks pairs of user and password. What succeeded is remembered by a keyed hash, until the user's entry changes. */
export class PasswordChecker {
  readonly #secret = randomBytes(32);
  readonly #remembered = new Map<string, string>();
  #waiting = 0;
  #last: Promise<unknown> = Promise.resolve();

  /** `busy`: too many attempts wait already. A promise only where the hash is a slow one. */
  check(users: Htpasswd, user: string, password: string): boolean | Promise<boolean | "busy"> {
    const hash = users.get(user);
    if (hash === undefined || password.length > maxPasswordBytes) return false;
    const isSlow = isBcrypt(hash) || isCryptHash(hash);
    if (!isSlow) return verifyFast(password, hash);
    const pair = createHmac("sha256", this.#secret)
      .update(JSON.stringify([user, password]))
      .digest("base64");
    if (this.#remembered.get(pair) === hash) return true;
    if (this.#waiting >= maxWaiting) return Promise.resolve("busy");
    return this.#checkInTurn(password, hash, pair);
  }

  async #checkInTurn(password: string, hash: string, pair: string): Promise<boolean> {
    this.#waiting += 1;
    const turn = this.#last.then(() => verifySlow(password, hash));
    this.#last = turn.catch(() => {});
    try {
      const isRight = await turn;
      if (isRight) this.#remember(pair, hash);
      return isRight;
    } finally {
      this.#waiting -= 1;
    }
  }

  #remember(pair: string, hash: string): void {
    if (this.#remembered.size >= maxRemembered) this.#remembered.clear();
    this.#remembered.set(pair, hash);
  }
}

async function verifySlow(password: string, hash: string): Promise<boolean> {
  return isBcrypt(hash) ? await verifyBcrypt(password, hash) : verifyCryptHash(password, hash);
}

const sha1Bytes = 20;

function verifyFast(password: string, hash: string): boolean {
  if (hash.startsWith("{SHA}")) return sameBytes(sha1(password), Buffer.from(hash.slice(5), "base64"));
  if (hash.startsWith("{SSHA}")) {
    const stored = Buffer.from(hash.slice(6), "base64");
    return sameBytes(sha1(password, stored.subarray(sha1Bytes)), stored.subarray(0, sha1Bytes));
  }
  // Of equal length, so that the time says nothing about the stored one.
  return sameBytes(sha1(password), sha1(hash));
}

function sha1(text: string, salt: Uint8Array = new Uint8Array()): Buffer {
  return createHash("sha1").update(text).update(salt).digest();
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
