import { expect, test } from "vitest";
import { parseMediaType } from "./media-type.ts";
import { acceptHeader, formatOfAccept, formatOfContentType, type ScrapeProtocol } from "./negotiate.ts";

const textProtocols: ScrapeProtocol[] = [
  "OpenMetricsText1.0.0",
  "OpenMetricsText0.0.1",
  "PrometheusText1.0.0",
  "PrometheusText0.0.4",
];

test("asks for the default protocols with their weights", () => {
  expect(acceptHeader(textProtocols, "allow-utf-8")).toBe(
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.7," +
      "application/openmetrics-text;version=0.0.1;q=0.6," +
      "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.3",
  );
});

test("asks in the order of the configuration, with the escaping scheme", () => {
  expect(acceptHeader(["PrometheusText0.0.4", "PrometheusText1.0.0"], "underscores")).toBe(
    "text/plain;version=0.0.4;q=0.7,text/plain;version=1.0.0;escaping=underscores;q=0.6,*/*;q=0.5",
  );
});

test("does not ask for what is not read", () => {
  expect(acceptHeader(["PrometheusProto", "OpenMetricsText2.0.0", "PrometheusText0.0.4"], "dots")).toBe(
    "text/plain;version=0.0.4;q=0.7,*/*;q=0.6",
  );
  expect(acceptHeader([], "dots")).toBe("*/*;q=0.7");
});

const formats: [contentType: string | undefined, fallback: ScrapeProtocol | undefined, format: string][] = [
  ["text/plain", undefined, "text"],
  ["text/plain; version=0.0.4; charset=utf-8", undefined, "text"],
  ["TEXT/Plain ;version=9", undefined, "text"],
  ["text/plain;", undefined, "text"],
  ["application/openmetrics-text", undefined, "openmetrics"],
  ["application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=values", undefined, "openmetrics"],
  ["application/openmetrics-text; version=2.0.0", undefined, "error"],
  ["application/openmetrics-text; version=2.0.0", "OpenMetricsText1.0.0", "openmetrics"],
  ["application/openmetrics-text; charset=UTF-8; charset=utf-8", undefined, "error"],
  ["application/openmetrics-text; charset=UTF-8; charset=utf-8", "PrometheusText0.0.4", "text"],
  ["application/openmetrics-text; charset=utf-8; charset=utf-8", undefined, "openmetrics"],
  [undefined, undefined, "error"],
  ["", "PrometheusText0.0.4", "text"],
  ["", "OpenMetricsText0.0.1", "openmetrics"],
  ["", "PrometheusProto", "error"],
  ["invalid/", "PrometheusText1.0.0", "text"],
  ["invalid/invalid/invalid", undefined, "error"],
  ["/", "OpenMetricsText1.0.0", "openmetrics"],
  ["application/json", undefined, "error"],
  ["text/html; charset=utf-8", "PrometheusText0.0.4", "text"],
  ["application/vnd.google.protobuf", undefined, "error"],
  ["application/vnd.google.protobuf", "PrometheusText0.0.4", "error"],
];
test.each(formats)("a page of type %j with fallback %j is %s", (contentType, fallback, format) => {
  const result = formatOfContentType(contentType, fallback);
  expect(typeof result === "string" ? result : "error").toBe(format);
});

test("names the unsupported type in the error, cut short", () => {
  expect(formatOfContentType("text/html", undefined)).toEqual({
    error: 'unsupported Content-Type "text/html", and no fallback_scrape_protocol is set',
  });
  const long = formatOfContentType(`a/${"b".repeat(5000)}`, undefined);
  expect(JSON.stringify(long).length).toBeLessThan(250);
});

const mediaTypes: [header: string, result: string][] = [
  ['text/plain; Version = "a\\"b\\c"', 'text/plain version=a"b\\c'],
  ['text/plain; a=b ;c=""', "text/plain a=b c="],
  ["text", "text"],
  ["te xt/plain", "malformed media type"],
  ["text/plain; a", "malformed media type parameter"],
  ['text/plain; a="b', "malformed media type parameter"],
  [`text/plain; a="${"\\\\".repeat(5000)}`, "malformed media type parameter"],
  ["text/plain; a=b, c", "malformed media type parameter"],
];
test.each(mediaTypes)("reads media type %j", (header, result) => {
  const media = parseMediaType(header);
  const written =
    typeof media === "string" ? media : [media.type, ...Array.from(media.params, (p) => p.join("="))].join(" ");
  expect(written).toBe(result);
});

const accepts: [accept: string | undefined, format: string][] = [
  [undefined, "text"],
  ["*/*", "text"],
  ["application/openmetrics-text", "openmetrics"],
  ["text/html, application/json", "text"],
  [
    "application/openmetrics-text;version=1.0.0;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;q=0.4",
    "openmetrics",
  ],
  ["application/openmetrics-text;q=0.3,text/plain;version=0.0.4;q=0.4", "text"],
  ["application/openmetrics-text;version=2.0.0,text/plain;q=0.2", "text"],
  ["application/openmetrics-text;q=x,*/*;q=0.2", "text"],
];
test.each(accepts)("answers a request that accepts %j with %s", (accept, format) => {
  expect(formatOfAccept(accept)).toBe(format);
});
