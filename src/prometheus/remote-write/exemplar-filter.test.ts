import { expect, test } from "vitest";
import { buildSamples } from "../../testing/build-samples.ts";
import { ExemplarFilter } from "./exemplar-filter.ts";

const [template] = buildSamples([{ name: "a", value: 1 }]).segments;
if (template?.form !== "samples") throw new Error("samples expected");
const segment = template;

const segmentWith = (...texts: string[]) => ({
  ...segment,
  exemplars: texts.map((text) => ({ row: 0, labels: [["id", text] as const], value: 1, timestampMs: undefined })),
});

test("exemplars whose labels are too long are left out, and counted", () => {
  let refused = 0;
  const filter = new ExemplarFilter({ sendExemplars: true, skipRepeatedExemplars: true }, (count) => {
    refused += count;
  });
  const kept = (...texts: string[]) => filter.of(segmentWith(...texts)).map(({ labels }) => labels[0]?.[1]);
  // Runes: 126 of the value and two of the name.
  const longest = "\u00e9".repeat(126);
  expect(kept(longest)).toEqual([longest]);
  expect(refused).toBe(0);
  expect(kept(`${longest}x`, "a", `${longest}y`)).toEqual(["a"]);
  expect(refused).toBe(2);
  expect(kept("a")).toEqual([]);
  expect(refused).toBe(2);
});

test("without exemplars to send nothing is refused", () => {
  const filter = new ExemplarFilter({ sendExemplars: false, skipRepeatedExemplars: true }, () => expect.fail());
  expect(filter.of(segmentWith("x".repeat(500)))).toEqual([]);
});
