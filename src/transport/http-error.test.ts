import { expect, test } from "vitest";
import { HttpError, toHttpError } from "./http-error.ts";

const request = { method: "GET", url: new URL("http://u:p@h:9100/m"), phase: "connecting" } as const;

function withCode(message: string, fields: object): Error {
  return Object.assign(new Error(message), fields);
}

test.each([
  {
    title: "every address of a name refused",
    caught: Object.assign(new AggregateError([withCode("", { code: "ECONNREFUSED", address: "::1", port: 9100 })]), {
      code: "ECONNREFUSED",
    }),
    message: "connection refused: ::1:9100 (ECONNREFUSED)",
  },
  {
    title: "an unknown name",
    caught: withCode("getaddrinfo ENOTFOUND h", { code: "ENOTFOUND", hostname: "h" }),
    message: "host name not found: h (ENOTFOUND)",
  },
  {
    title: "a certificate that ended",
    caught: withCode("certificate has expired", { code: "CERT_HAS_EXPIRED" }),
    message: "certificate of the server not accepted: certificate has expired (CERT_HAS_EXPIRED)",
  },
  {
    title: "an alert of OpenSSL",
    caught: withCode("40B7:error:0A000412:SSL routines::x", { code: "EPROTO", reason: "sslv3 alert bad certificate" }),
    message: "TLS failure: sslv3 alert bad certificate (EPROTO)",
  },
  { title: "something without a code", caught: new Error("odd"), message: "odd (UNKNOWN)" },
  { title: "something that is no error", caught: "text", message: "unknown failure (UNKNOWN)" },
])("puts into words: $title", ({ caught, message }) => {
  const error = toHttpError(caught, request);
  expect([error.message, error.phase]).toEqual([`GET http://xxxxx@h:9100/m: ${message}`, "connecting"]);
});

test("leaves an HttpError as it is", () => {
  const error = new HttpError("TIMEOUT", "x");
  expect(toHttpError(error, request)).toBe(error);
});
