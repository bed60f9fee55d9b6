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
import { decodeRpcStatus, encodeRpcStatus, rpcStatusFromJson, rpcStatusJson } from "./rpc-status.ts";

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

describe("google.rpc.Status", () => {
  test.each([
    { code: 14, message: "queue is full", retryAfterMs: 3000 },
    { code: 8, message: "", retryAfterMs: 1 },
    { code: 3, message: "bad", retryAfterMs: undefined },
    { code: 0, message: "", retryAfterMs: 0 },
  ])("survives protobuf and JSON: %o", (status) => {
    expect(decodeRpcStatus(encodeRpcStatus(status))).toEqual(status);
    expect(rpcStatusFromJson(Buffer.from(rpcStatusJson(status)))).toEqual(status);
  });

  test("is what protobufjs reads", () => {
    const type = otlpType("RpcStatus");
    const status = type.decode(encodeRpcStatus({ code: 14, message: "x", retryAfterMs: 3250 })) as unknown as {
      code: number;
      details: { typeUrl: string; value: Uint8Array }[];
    };
    expect(status.code).toBe(14);
    expect(status.details[0]?.typeUrl).toBe("type.googleapis.com/google.rpc.RetryInfo");
    const info = otlpType("RetryInfo");
    const value = info.toObject(info.decode(status.details[0]?.value ?? new Uint8Array()), { longs: Number });
    expect(value).toEqual({ retryDelay: { seconds: 3, nanos: 250_000_000 } });
  });

  test.each([
    ["3s", 3000],
    ["0.0000001s", 1],
    ["-5s", 0],
    ["999999999999s", 24 * 3600 * 1000],
    ["soon", undefined],
  ])("reads the delay %s of JSON", (retryDelay, retryAfterMs) => {
    const details = [
      { "@type": "type.googleapis.com/other" },
      { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay },
    ];
    const status = rpcStatusFromJson(Buffer.from(JSON.stringify({ code: 14, message: "m", details })));
    expect(status).toEqual({ code: 14, message: "m", retryAfterMs });
  });

  test("bytes that are none are refused", () => {
    expect(() => decodeRpcStatus(Buffer.from([0x12, 0x05]))).toThrow(DecodeError);
    expect(() => rpcStatusFromJson(Buffer.from("{"))).toThrow(DecodeError);
    expect(rpcStatusFromJson(Buffer.from("[]"))).toEqual({ code: 0, message: "", retryAfterMs: undefined });
  });
});
