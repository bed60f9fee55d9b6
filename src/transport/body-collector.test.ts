import fc from "fast-check";
import { expect, test } from "vitest";
import { BodyCollector } from "./body-collector.ts";

const chunks = fc.array(fc.uint8Array({ maxLength: 50_000 }), { maxLength: 12 });

test.each(["declared", "not declared"])("any chunks become the body whose size is %s", (kind) => {
  fc.assert(
    fc.property(chunks, (parts) => {
      const whole = Buffer.concat(parts);
      const body = new BodyCollector(kind === "declared" ? whole.length : undefined);
      for (const part of parts) {
        const chunk = Buffer.from(part);
        body.add(chunk);
        chunk.fill(0);
      }
      expect(body.size).toBe(whole.length);
      expect(body.take().equals(whole)).toBe(true);
    }),
    { numRuns: 40 },
  );
});

test("a size that is only declared takes no memory of that size", () => {
  const body = new BodyCollector(4 * 1024 ** 3);
  body.add(Buffer.from("abc"));
  expect(body.reservedBytes).toBeLessThanOrEqual(16 * 1024);
  expect(String(body.take())).toBe("abc");
});

test("memory follows what has come of a declared size", () => {
  const body = new BodyCollector(1024 * 1024);
  let moves = 0;
  for (let i = 0; i < 1024 * 1024; i += 4096) {
    const before = body.reservedBytes;
    body.add(Buffer.alloc(4096, i));
    expect(body.reservedBytes).toBeLessThanOrEqual(16 * body.size);
    if (before !== body.reservedBytes) moves++;
  }
  expect(moves).toBeLessThan(5);
  expect(body.reservedBytes).toBe(1024 * 1024);
});
