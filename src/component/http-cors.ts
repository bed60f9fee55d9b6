/** Access of web pages from other origins to an HTTP server (the `cors` section of confighttp). */

import type { IncomingMessage, ServerResponse } from "node:http";
import { z } from "zod";
import { switchedSection } from "../codec/yaml/field-types.ts";

export function corsField() {
  return switchedSection(
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

/** Sets the headers of an answer; true when the request was a preflight and is answered. */
export type CorsCheck = (request: IncomingMessage, response: ServerResponse) => boolean;

const alwaysAllowed = ["accept", "content-type", "x-requested-with"];
const allowedMethods = ["GET", "POST", "HEAD"];

/** Undefined where no origin is allowed. */
export function createCors(config: CorsConfig | undefined): CorsCheck | undefined {
  if (config === undefined || config.allowed_origins.length === 0) return undefined;
  const isAllowed = originMatcher(config.allowed_origins);
  const headerNames = new Set([...alwaysAllowed, ...config.allowed_headers.map((name) => name.toLowerCase())]);
  const anyHeader = headerNames.has("*");
  return (request, response) => {
    const origin = request.headers.origin;
    const asked = request.headers["access-control-request-method"];
    const isPreflight = request.method === "OPTIONS" && asked !== undefined;
    response.setHeader(
      "vary",
      isPreflight ? "origin, access-control-request-method, access-control-request-headers" : "origin",
    );
    if (origin !== undefined && isAllowed(origin)) {
      const names = headersAsked(request);
      const mayAsk =
        !isPreflight || (allowedMethods.includes(asked) && (anyHeader || names.every((name) => headerNames.has(name))));
      if (mayAsk) allow(response, { origin, asked: isPreflight ? asked : undefined, names, config });
    }
    if (!isPreflight) return false;
    request.resume();
    response.writeHead(204).end();
    return true;
  };
}

interface Allowed {
  readonly origin: string;
  readonly asked: string | undefined;
  readonly names: readonly string[];
  readonly config: CorsConfig;
}

function allow(response: ServerResponse, { origin, asked, names, config }: Allowed): void {
  response.setHeader("access-control-allow-origin", config.allowed_origins.includes("*") ? "*" : origin);
  if (asked === undefined) {
    if (config.exposed_headers.length > 0) {
      response.setHeader("access-control-expose-headers", config.exposed_headers.join(", "));
    }
    return;
  }
  response.setHeader("access-control-allow-methods", asked);
  if (names.length > 0) response.setHeader("access-control-allow-headers", names.join(", "));
  if (config.max_age > 0) response.setHeader("access-control-max-age", String(config.max_age));
}

function headersAsked(request: IncomingMessage): readonly string[] {
  const text = request.headers["access-control-request-headers"];
  if (text === undefined) return [];
  return text
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== "");
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
