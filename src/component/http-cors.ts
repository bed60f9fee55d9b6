/** Access of web pages from other origins to an HTTP server (the `cors` section of confighttp). */

import { z } from "zod";
import { filledSection } from "../codec/yaml/field-types.ts";
import type { RequestHeaders } from "./server-auth.ts";

export function corsField() {
  return filledSection(
    z.strictObject({
      allowed_origins: z
        .array(z.string())
        .default([])
        .describe('Origins whose pages may ask, such as "https://*.example.com"; "*" is all, none turns it off.'),
      allowed_headers: z
        .array(z.string())
        .default([])
        .describe('Request headers beside Accept, Content-Type and X-Requested-With; "*" is all.'),
      exposed_headers: z.array(z.string()).default([]).describe("Answer headers that pages may read."),
      max_age: z
        .number()
        .int()
        .default(0)
        .describe("Seconds for which a browser may remember the answer. 0: not told."),
    }),
  ).describe("Access from pages of other origins; absent, browsers refuse it.");
}

export interface CorsConfig {
  readonly allowed_origins: readonly string[];
  readonly allowed_headers: readonly string[];
  readonly exposed_headers: readonly string[];
  readonly max_age: number;
}

/** What of a request decides. */
export interface CorsRequest {
  readonly method: string;
  readonly headers: RequestHeaders;
}

/** What belongs into the answer to a request. */
export interface CorsAnswer {
  /** Names and values. */
  readonly fields: readonly (readonly [string, string])[];
  /** The whole answer is these fields, with 204. */
  readonly isPreflight: boolean;
}

export type CorsCheck = (request: CorsRequest) => CorsAnswer;

const alwaysAllowed = ["accept", "content-type", "x-requested-with"];
const allowedMethods = ["GET", "POST", "HEAD"];

/** Undefined where no origin is allowed. */
export function createCors(config: CorsConfig | undefined): CorsCheck | undefined {
  if (config === undefined || config.allowed_origins.length === 0) return undefined;
  const isAllowed = originMatcher(config.allowed_origins);
  const headerNames = new Set([...alwaysAllowed, ...config.allowed_headers.map((name) => name.toLowerCase())]);
  const anyHeader = headerNames.has("*");
  return ({ method, headers }) => {
    const origin = textOf(headers["origin"]);
    const asked = textOf(headers["access-control-request-method"]);
    const isPreflight = method === "OPTIONS" && asked !== undefined;
    const vary = isPreflight ? "origin, access-control-request-method, access-control-request-headers" : "origin";
    const fields: [string, string][] = [["vary", vary]];
    if (origin !== undefined && isAllowed(origin)) {
      const names = headersAsked(headers);
      const mayAsk =
        !isPreflight || (allowedMethods.includes(asked) && (anyHeader || names.every((name) => headerNames.has(name))));
      if (mayAsk) fields.push(...allowing({ origin, asked: isPreflight ? asked : undefined, names, config }));
    }
    return { fields, isPreflight };
  };
}

interface Allowed {
  readonly origin: string;
  readonly asked: string | undefined;
  readonly names: readonly string[];
  readonly config: CorsConfig;
}

function allowing({ origin, asked, names, config }: Allowed): [string, string][] {
  const fields: [string, string][] = [
    ["access-control-allow-origin", config.allowed_origins.includes("*") ? "*" : origin],
  ];
  if (asked === undefined) {
    if (config.exposed_headers.length > 0) {
      fields.push(["access-control-expose-headers", config.exposed_headers.join(", ")]);
    }
    return fields;
  }
  fields.push(["access-control-allow-methods", asked]);
  if (names.length > 0) fields.push(["access-control-allow-headers", names.join(", ")]);
  if (config.max_age > 0) fields.push(["access-control-max-age", String(config.max_age)]);
  return fields;
}

function headersAsked(headers: RequestHeaders): readonly string[] {
  const text = textOf(headers["access-control-request-headers"]);
  if (text === undefined) return [];
  return text
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== "");
}

/** Only Set-Cookie has several values. */
function textOf(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** Origins compare without case; one `*` stands for any text. */
function originMatcher(patterns: readonly string[]): (origin: string) => boolean {
  const parts = patterns.map((pattern) => pattern.toLowerCase().split("*", 2));
  return (origin) => {
    const text = origin.toLowerCase();
    return parts.some(([head = "", tail]) => {
      if (tail === undefined) return text === head;
      return text.length >= head.length + tail.length && text.startsWith(head) && text.endsWith(tail);
    });
  };
}
