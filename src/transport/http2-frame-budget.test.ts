/** How many frames that bring nothing the other side may send. */

import { expect, test, vi } from "vitest";
import { FrameBudget } from "./http2-frame-budget.ts";

function spend(budget: FrameBudget, frames: number): void {
  for (let i = 0; i < frames; i++) budget.spend();
}

test("a new connection has 2,000 frames, however old the process is, and 200 more a second", () => {
  const now = vi.spyOn(performance, "now").mockReturnValue(1e6);
  const budget = new FrameBudget();
  spend(budget, 2000);
  expect(() => spend(budget, 1)).toThrow("too_many_frames");
  const later = new FrameBudget();
  spend(later, 2000);
  now.mockReturnValue(1e6 + 1000);
  spend(later, 200);
  expect(() => spend(later, 1)).toThrow("too_many_frames");
});

test("a request earns 20 more, of which no more than the most are saved up", () => {
  vi.spyOn(performance, "now").mockReturnValue(1e6);
  const budget = new FrameBudget(2010);
  budget.earn();
  spend(budget, 2010);
  expect(() => spend(budget, 1)).toThrow("too_many_frames");
});
