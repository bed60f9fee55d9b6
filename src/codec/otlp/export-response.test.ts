import { describe, expect, test } from "vitest";
import { signals } from "../../../test/kit/otlp-arbitrary.ts";
import { otlpType } from "../../../test/kit/otlp-proto.ts";
import { DecodeError } from "../../model/errors.ts";
import {
  decodeExportResponse,
  encodeExportResponse,
  exportResponseFromJson,
  exportResponseJson,
} from "./export-response.ts";
import { rpcStatusJson } from "./rpc-status.ts";

describe("export responses", () => {
  test.each([
    ["nothing", undefined],
    ["a warning", { rejectedItems: 0n, errorMessage: "old" }],
    ["rejected items", { rejectedItems: 12n, errorMessage: 'no "time"' }],
    ["more than a double holds", { rejectedItems: 2n ** 53n + 1n, errorMessage: "" }],
  ])("carry %s", (_name, partial) => {
    const bytes = encodeExportResponse(partial);
    expect(decodeExportResponse(bytes)).toEqual(partial);
    for (const signal of signals) {
      expect(exportResponseFromJson(signal, Buffer.from(exportResponseJson(signal, partial)))).toEqual(partial);
    }
    const type = otlpType("ExportResponse");
    const { partialSuccess } = type.toObject(type.decode(bytes), { longs: BigInt }) as {
      partialSuccess?: { rejected?: bigint; errorMessage?: string };
    };
    expect(partialSuccess?.rejected ?? 0n).toEqual(partial?.rejectedItems ?? 0n);
    expect(partialSuccess?.errorMessage ?? "").toBe(partial?.errorMessage ?? "");
  });

  test("full success has no bytes", () => {
    expect(encodeExportResponse()).toHaveLength(0);
    expect(encodeExportResponse({ rejectedItems: 0n, errorMessage: "" })).toHaveLength(0);
    expect(exportResponseJson("logs")).toBe("{}");
  });

  test("bytes that are no response are refused", () => {
    expect(() => decodeExportResponse(Buffer.from([0x0a, 0x7f]))).toThrow(DecodeError);
    expect(() => decodeExportResponse(Buffer.from([0x08, 0x01]))).toThrow(DecodeError);
    expect(() => exportResponseFromJson("logs", Buffer.from("<html>"))).toThrow(DecodeError);
  });
});

describe("google.rpc.Status in JSON", () => {
  const details = (retryDelay: string) => [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay }];
  test.each([
    [
      { code: 14, message: 'a "queue"', retryAfterMs: 3000 },
      { code: 14, message: 'a "queue"', details: details("3s") },
    ],
    [
      { code: 8, message: "", retryAfterMs: 0.5 },
      { code: 8, message: "", details: details("0.001s") },
    ],
    [
      { code: 8, message: "", retryAfterMs: -1 },
      { code: 8, message: "", details: details("0s") },
    ],
    [
      { code: 3, message: "bad" },
      { code: 3, message: "bad" },
    ],
  ])("%o", (status, expected) => {
    expect(JSON.parse(rpcStatusJson(status))).toEqual(expected);
  });
});
