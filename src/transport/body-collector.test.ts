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
  expect(String(body.take())).toBe("abc");
});
