import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { MetricRegistry } from "../component/metric-registry.ts";
import { observeEventLoopDelay, recordStall } from "./event-loop-delay.ts";

describe("event-loop delay", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test.each([
    ["a timer in time is one wait of nothing", 0, [0]],
    ["a timer that comes early counts as in time", -1, [0]],
    ["a short stall is one wait", 7, [0.007]],
    ["a long stall is a wait for each period in it", 35, [0.035, 0.025, 0.015, 0.005]],
  ])("%s", (_title, lateMs, expected) => {
    const waits: number[] = [];
    recordStall({ record: (seconds) => waits.push(seconds) }, lateMs);
    expect(waits).toEqual(expected);
  });

  test("a stall of hours is counted as a minute", () => {
    let count = 0;
    recordStall({ record: () => count++ }, 10 * 3600_000);
    expect(count).toBe(6000);
  });

  test("counts until it is ended", () => {
    const registry = new MetricRegistry();
    let nowMs = 0;
    const end = observeEventLoopDelay(registry, () => nowMs);
    const counted = () =>
      registry
        .collect()
        .find(({ name }) => name === "millrace_event_loop_delay_seconds")
        ?.samples.find(({ suffix }) => suffix === "_count")?.value;
    nowMs = 10;
    vi.advanceTimersByTime(10);
    expect(counted()).toBe(1);
    nowMs = 50;
    vi.advanceTimersByTime(10);
    expect(counted()).toBe(4);
    end();
    vi.advanceTimersByTime(100);
    expect(counted()).toBe(4);
  });
});
