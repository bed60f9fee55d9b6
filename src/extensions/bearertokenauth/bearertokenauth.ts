/** Bearer tokens: checks those of callers and gives one to clients. */

import { createHash, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { secret } from "../../codec/yaml/field-types.ts";
import type { ClientAuthenticator } from "../../component/client-auth.ts";
import { defineExtension, type Lifecycle } from "../../component/define.ts";
import { sectionIssue } from "../../component/section-issues.ts";
import type { RequestHeaders, ServerAuthenticator } from "../../component/server-auth.ts";
import type { Logger } from "../../component/telemetry.ts";
import { ConfigError, toError } from "../../model/errors.ts";
import { WatchedFile } from "../../transport/watched-file.ts";

const config = z.strictObject({
  scheme: z.string().default("Bearer").describe("Word before the token; empty for none."),
  header: z
    .string()
    .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, "expected a header name")
    .default("Authorization")
    .describe("Header, or metadata of gRPC, that carries the token."),
  token: secret().optional().describe("The token."),
  tokens: z
    .array(secret())
    .default([])
    .describe("Tokens that callers may send; clients send the first. Not together with token."),
  filename: z
    .string()
    .default("")
    .describe("File with a token on each line, which wins over the other keys; read again when it changes."),
});

type BearerTokenConfig = z.output<typeof config>;

export default defineExtension<BearerTokenConfig>({
  type: "bearertokenauth",
  aliases: ["bearer_token_auth"],
  description: "Checks bearer tokens of callers, and gives one to clients.",
  stability: "beta",
  config,

  complete(section, context) {
    const { token, tokens, filename } = section;
    const issue = (path: readonly string[], message: string) => context.issue(sectionIssue(context, path, message));
    const hasToken = token !== undefined && token.reveal() !== "";
    if (!hasToken && tokens.length === 0 && filename === "") issue([], "required: token, tokens or filename");
    if (hasToken && tokens.length > 0) issue(["tokens"], "not possible together with token");
    if (filename !== "" && (hasToken || tokens.length > 0)) {
      context.notice(sectionIssue(context, ["filename"], "wins: the other tokens have no effect"));
    }
    return section;
  },

  create: ({ id, config: section, log }) => new BearerTokens(id, section, log),
});

const recheckMs = 1000;

class BearerTokens implements Lifecycle, ServerAuthenticator, ClientAuthenticator {
  readonly #id: string;
  readonly #header: string;
  readonly #prefix: string;
  readonly #file: WatchedFile | undefined;
  readonly #log: Logger;
  #values: readonly string[] = [];
  /** Of the values: all of one length, so that comparing tells nothing about them. */
  #digests: readonly Buffer[] = [];
  #version = -1;
  #checkedMs = Number.NEGATIVE_INFINITY;
  #isUnreadable = false;

  constructor(id: string, section: BearerTokenConfig, log: Logger) {
    this.#id = id;
    this.#header = section.header.toLowerCase();
    this.#prefix = section.scheme === "" ? "" : `${section.scheme} `;
    this.#file = section.filename === "" ? undefined : new WatchedFile("filename", section.filename);
    this.#log = log;
    const tokens = section.token === undefined ? section.tokens : [section.token];
    if (this.#file === undefined) this.#use(tokens.map((token) => token.reveal()));
  }

  async start(): Promise<void> {
    try {
      if (this.#file !== undefined) this.#load(this.#file);
    } catch (caught) {
      const message = toError(caught).message.replace(/^filename: /, "");
      throw new ConfigError([{ path: `extensions::${this.#id}::filename`, message }], { cause: caught });
    }
  }

  authenticate(headers: RequestHeaders): string | undefined {
    this.#refresh();
    const header = headers[this.#header];
    const text = typeof header === "string" ? header : header?.[0];
    if (text === undefined || text === "") return `missing or empty header: ${this.#header}`;
    const digest = digestOf(text);
    let isKnown = false;
    for (const known of this.#digests) isKnown = timingSafeEqual(known, digest) || isKnown;
    return isKnown ? undefined : "scheme or token does not match";
  }

  clientHeaders(): Readonly<Record<string, string>> {
    this.#refresh();
    const value = this.#values[0];
    if (value === undefined) throw new Error("no token in the file");
    return { [this.#header]: value };
  }

  /** Keeps the tokens it has while the file cannot be read. */
  #refresh(): void {
    const nowMs = performance.now();
    if (this.#file === undefined || nowMs - this.#checkedMs < recheckMs) return;
    this.#checkedMs = nowMs;
    try {
      this.#load(this.#file);
      this.#isUnreadable = false;
    } catch (caught) {
      if (!this.#isUnreadable) this.#log.warn("Cannot read tokens again", { error: toError(caught).message });
      this.#isUnreadable = true;
    }
  }

  #load(file: WatchedFile): void {
    const text = file.read();
    if (file.version === this.#version) return;
    this.#version = file.version;
    this.#use(text.split("\n").map((line) => line.trim()));
  }

  /** An empty token is none: it would let in whoever knows the scheme. */
  #use(tokens: readonly string[]): void {
    this.#values = tokens.filter((token) => token !== "").map((token) => this.#prefix + token);
    this.#digests = this.#values.map(digestOf);
  }
}

function digestOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
