import { describe, expect, it } from "vitest";
import { parseByteSize } from "./byte-size.ts";

describe("parseByteSize", () => {
  it.each([
    ["0", 0],
    ["10B", 10],
    ["1KB", 1024],
    ["1KiB", 1024],
    ["1.5MB", 1_572_864],
    ["1MB500KB", 1024 * 1024 + 500 * 1024],
    [".5KB", 512],
    ["+10KB", 10_240],
    ["-1MB", -1_048_576],
    ["1EB", 2 ** 60],
  ])("reads %s", (text, bytes) => {
    expect(parseByteSize(text)).toBe(bytes);
  });

  it.each(["", "10", "10b", "10kb", "10K", "10mib", "100ZB", "MB", "1 MB", "5MB6"])("refuses %j", (text) => {
    expect(parseByteSize(text)).toBeUndefined();
  });
});
