import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { otlpType } from "../../test/kit/otlp-proto.ts";
import { decodeStatus, encodeStatus, grpcCodeName, percentDecode, percentEncode } from "./grpc-status.ts";
import { addressText, parseTarget } from "./grpc-target.ts";
import {
  decodeBinaryHeader,
  encodeBinaryHeader,
  formatTimeout,
  frameMessage,
  MessageReader,
  parseTimeout,
} from "./grpc-wire.ts";

test.each([
  ["5S", 5000],
  ["100m", 100],
  ["3H", 10_800_000],
  ["2M", 120_000],
  ["1500u", 1.5],
  ["99999999n", 99.999999],
  ["0S", 0],
  ["123456789m", undefined],
  ["5", undefined],
  ["-5S", undefined],
  ["5s", undefined],
  ["", undefined],
])("reads the time limit %j", (header, ms) => {
  expect(parseTimeout(header)).toBe(ms);
});

test.each([
  [0, "0m"],
  [1.2, "2m"],
  [99_999_999, "99999999m"],
  [100_000_000, "100000S"],
  [1e12, "277778H"],
])("writes a time limit of %d ms", (ms, header) => {
  expect(formatTimeout(ms)).toBe(header);
});

test.each([
  ["plain text, with: marks", "plain text, with: marks"],
  ["100 %", "100 %25"],
  ["\u00fc\n", "%C3%BC%0A"],
])("carries the message %j", (message, header) => {
  expect(percentEncode(message)).toBe(header);
  expect(percentDecode(header)).toBe(message);
});

test("leaves what is no escape as it is", () => {
  expect(percentDecode("50% of %zz%")).toBe("50% of %zz%");
});

test("names codes", () => {
  expect([grpcCodeName(0), grpcCodeName(14), grpcCodeName(99)]).toEqual(["OK", "UNAVAILABLE", "CODE_99"]);
});

describe("statuses", () => {
  test.each([
    [0, "", undefined],
    [14, "queue full", 3000],
    [8, "\u00fc", 0],
    [8, "x", 1500.25],
  ])("carry code %i, message %j and a wait of %d ms", (code, message, retryAfterMs) => {
    expect(decodeStatus(encodeStatus(code, message, retryAfterMs))).toMatchObject({ code, message, retryAfterMs });
  });

  test("are what protobufjs reads", () => {
    const status = otlpType("RpcStatus").decode(encodeStatus(14, "x", 3250)) as unknown as {
      code: number;
      message: string;
      details: { typeUrl: string; value: Uint8Array }[];
    };
    const [detail] = status.details;
    expect([status.code, status.message, detail?.typeUrl]).toEqual([
      14,
      "x",
      "type.googleapis.com/google.rpc.RetryInfo",
    ]);
    const info = otlpType("RetryInfo");
    const value = info.toObject(info.decode(detail?.value ?? new Uint8Array()), { longs: Number });
    expect(value).toEqual({ retryDelay: { seconds: 3, nanos: 250_000_000 } });
  });

  test("ask for a day at most", () => {
    expect(decodeStatus(encodeStatus(14, "", 1e12))?.retryAfterMs).toBe(86_400_000);
  });

  test("know other details only by their types", () => {
    const detail = Buffer.from("\x1a\x08\x0a\x03a/b\x12\x01x", "latin1");
    expect(decodeStatus(detail)).toEqual({
      code: 0,
      message: "",
      retryAfterMs: undefined,
      details: [{ typeUrl: "a/b", value: Buffer.from("x") }],
    });
  });

  test("never break on other bytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => void decodeStatus(bytes)));
  });
});

describe("the reader of messages", () => {
  const read = (bytes: Uint8Array, size: number, maxBytes = 1000): MessageReader => {
    const reader = new MessageReader(maxBytes);
    for (let at = 0; at < bytes.length; at += size) if (!reader.push(bytes.subarray(at, at + size))) break;
    return reader;
  };

  test("joins a message from chunks of any size", () => {
    const message = Buffer.from(Array.from({ length: 1000 }, (_, i) => i % 251));
    for (const size of [1, 2, 5, 7, 400, 2000]) {
      const reader = read(frameMessage(message), size);
      expect([reader.isComplete, reader.isPacked, reader.fault]).toEqual([true, false, undefined]);
      expect(reader.take().equals(message)).toBe(true);
    }
  });

  test("keeps the memory of a drip of single bytes small", () => {
    const reader = new MessageReader(3_000_000);
    const frame = frameMessage(Buffer.alloc(2_000_000));
    const before = process.memoryUsage().heapUsed;
    for (let at = 0; at < frame.length; at++) reader.push(Buffer.from([frame[at] as number]));
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(300_000_000);
    expect(reader.take().length).toBe(2_000_000);
  });

  test.each([
    ["a message above the limit", frameMessage(Buffer.alloc(1001)), "too-large"],
    ["a message of 4 GB", Buffer.from([0, 0xff, 0xff, 0xff, 0xff]), "too-large"],
    ["unknown flags", Buffer.from([2, 0, 0, 0, 0]), "flags"],
    ["two messages", Buffer.concat([frameMessage(Buffer.from("a")), frameMessage(Buffer.from("b"))]), "second"],
  ] as const)("refuses %s", (_title, bytes, fault) => {
    for (const size of [1, 1000]) expect(read(bytes, size).fault).toBe(fault);
  });

  test("knows that a message is not whole", () => {
    for (const cut of [0, 3, 5, 9])
      expect(read(frameMessage(Buffer.from("hello")).subarray(0, cut), 2).isComplete).toBe(false);
    expect(read(new Uint8Array(0), 1).isEmpty).toBe(true);
  });
});

test("carries binary metadata with and without padding", () => {
  for (const bytes of ["", "a", "ab", "abc"]) {
    const header = encodeBinaryHeader(Buffer.from(bytes));
    expect(header).not.toContain("=");
    expect(String(decodeBinaryHeader(header))).toBe(bytes);
    expect(String(decodeBinaryHeader(Buffer.from(bytes).toString("base64")))).toBe(bytes);
  }
});

test.each([
  ["host:4317", "host:4317", "host:4317"],
  ["host", "host", "host:443"],
  ["127.0.0.1:1", "127.0.0.1:1", "127.0.0.1:1"],
  ["[::1]:80", "[::1]:80", "[::1]:80"],
  ["dns:///host:1", "host:1", "host:1"],
  ["dns://8.8.8.8/host:1", "host:1", "host:1"],
  ["dns:host:1", "host:1", "host:1"],
  ["passthrough:///host:1", "host:1", "host:1"],
  ["unix:/a/b.sock", "localhost", "unix:/a/b.sock"],
  ["unix:///a/b.sock", "localhost", "unix:/a/b.sock"],
  ["ipv4:1.2.3.4:5,6.7.8.9:10", "1.2.3.4:5", "1.2.3.4:5"],
  ["ipv6:[::1]:5", "[::1]:5", "[::1]:5"],
])("reads the target %s", (text, authority, first) => {
  const target = parseTarget(text);
  const address = target?.addresses?.[0] ?? target?.lookUp;
  expect([target?.authority, address === undefined ? "" : addressText(address)]).toEqual([authority, first]);
});
