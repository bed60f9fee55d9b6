/** Directed cases of the page cache: limits, repeated lines, families, failed pages, layouts that stay. */

import { describe, expect, test } from "vitest";
import { createPageReader, sortRows } from "../../../test/support/read-target-page.ts";
import { createTextParser } from "../../codec/exposition/parser.ts";
import { PageError } from "./page-content.ts";

const text = (...lines: string[]) => Buffer.from(lines.map((line) => `${line}\n`).join(""));
const names = (reader: ReturnType<typeof createPageReader>, page: Buffer) => {
  const content = reader.read(page, false);
  if ("failed" in content) throw new Error("the page failed");
  return content.rows.map(({ labels, value }) => `${JSON.parse(labels)[0][1]}=${value}`);
};

describe("the layout stays the same", () => {
  test.each([
    { what: "other values", page: text("a 5", "b NaN", 'c{x="1"} +Inf'), stays: true },
    { what: "other comments", page: text("# HELP zzz other", "a 5", "b 1", 'c{x="1"} 1'), stays: true },
    { what: "lines in another order", page: text("b 1", 'c{x="1"} 1', "a 1"), stays: true },
    { what: "a line twice", page: text("a 1", "b 1", "b 2", 'c{x="1"} 1'), stays: true },
    { what: "a comment at the end", page: text("a 1", "b 1", 'c{x="1"} 1', "# done"), stays: true },
    { what: "a new line", page: text("a 1", "b 1", 'c{x="1"} 1', "d 1"), stays: false },
    { what: "a line less", page: text("a 1", "b 1"), stays: false },
    { what: "another type", page: text("# TYPE a counter", "a 1", "b 1", 'c{x="1"} 1'), stays: false },
  ])("for a page with $what: $stays", ({ page, stays }) => {
    const reader = createPageReader();
    reader.read(text("a 1", "b 1", 'c{x="1"} 1'), false);
    const before = reader.page.layout;
    reader.read(page, false);
    expect(reader.page.layout === before).toBe(stays);
  });

  test("for a page that repeats a series with times of its own, scrape after scrape", () => {
    const reader = createPageReader();
    reader.read(text("a 1 1000", "a 2 2000", "b 1"), false);
    const before = reader.page.layout;
    expect(reader.read(text("a 3 3000", "a 4 4000", "b 1"), false)).toMatchObject({ duplicates: 0, seriesAdded: 0 });
    expect(reader.page.layout).toBe(before);
  });
});

describe("repeated series", () => {
  test("the first is kept", () => {
    const reader = createPageReader();
    expect(reader.read(text("a 1", "a 2", 'b{x="1",y="2"} 3', 'b{y="2",x="1"} 4'), false)).toMatchObject({
      samples: 4,
      samplesAfterRelabel: 4,
      duplicates: 2,
      seriesAdded: 3,
      rows: [{ value: 1 }, { value: 3 }],
    });
  });

  test("a line that repeated another is kept once the other is gone", () => {
    const reader = createPageReader();
    names(reader, text("a 1", "x 1", "a 2", "b 1"));
    expect(names(reader, text("x 1", "a 2", "b 1")).sort()).toEqual(["a=2", "b=1", "x=1"]);
  });

  test("the old line of a series gives way to a new one before it", () => {
    const reader = createPageReader();
    names(reader, text("x 1", 'b{x="1",y="2"} 3'));
    expect(names(reader, text('b{y="2",x="1"} 4', "x 1", 'b{x="1",y="2"} 3'))).toEqual(["b=4", "x=1"]);
  });

  test("are known from page to page, and counted in what is remembered", () => {
    const lines = Array.from({ length: 100 }, (_, i) => `b{x="${i}",y="2"} 1`);
    const again = lines.map((_, i) => `b{y="2",x="${i}"} 2`);
    const others = lines.map((_, i) => `b{y="3",x="${i}"} 2`);
    const [reader, distinct] = [createPageReader(), createPageReader()];
    distinct.read(text(...lines, ...others), false);
    for (const seriesAdded of [200, 0, 0]) {
      expect(reader.read(text(...lines, ...again), false)).toMatchObject({ duplicates: 100, seriesAdded });
    }
    // Hash, slot and label set of each.
    expect(reader.page.templateBytes - distinct.page.templateBytes).toBeGreaterThan(100 * (8 + 8 + 4));
    expect(reader.read(text(...lines), false)).toMatchObject({ duplicates: 0, seriesAdded: 0 });
    expect(reader.page.templateBytes).toBeLessThan(distinct.page.templateBytes);
  });

  test("times of their own make them samples of their own, unless times are ignored", () => {
    const page = text("a 1 1000", "a 2 2000");
    expect(createPageReader().read(page, false)).toMatchObject({ duplicates: 0, rows: [{ value: 1 }, { value: 2 }] });
    const ignoring = createPageReader({ ignoresTimestamps: true });
    for (const _ of [1, 2]) {
      expect(ignoring.read(page, false)).toMatchObject({ duplicates: 1, rows: [{ value: 1, timestampMs: undefined }] });
    }
  });
});

describe("limits", () => {
  const failure = (page: Buffer, limits: Parameters<typeof createPageReader>[0]) => {
    const { read } = createPageReader(limits);
    return read(page, false);
  };

  test.each([
    { what: "a long line", page: text("a 1", `b{x="${"y".repeat(100)}"} 1`), limits: { lineBytes: 50 } },
    { what: "a long comment", page: text("a 1", `# HELP b ${"y".repeat(100)}`, "b 1"), limits: { lineBytes: 50 } },
    { what: "a long comment without meaning", page: text("a 1", `# ${"y".repeat(100)}`), limits: { lineBytes: 50 } },
    { what: "many series", page: text("a 1", "b 1", "c 1"), limits: { series: 2 } },
    { what: "many labels", page: text("a 1", 'b{a="1",b="2",c="3"} 1'), limits: { labels: 3 } },
    { what: "sample_limit", page: text("a 1", "b 1"), limits: { samples: 1 } },
  ])("$what: the page fails", ({ page, limits }) => {
    expect(failure(page, { limits })).toMatchObject({ failed: true });
  });

  test("a page at its limits is accepted", () => {
    const page = text("a 1", "a 2", "drop_me 1", 'b{a="1",b="2"} 1', `# ${"y".repeat(46)}`, "\n".repeat(60));
    expect(failure(page, { limits: { lineBytes: 50, series: 4, labels: 3, samples: 2 } })).toMatchObject({
      samples: 4,
    });
  });

  test("a sample_limit that is lowered holds for a page that did not change", () => {
    const reader = createPageReader({ limits: { samples: 3 } });
    const page = text("a 1", "b 1", "c 1");
    expect(reader.read(page, false)).toMatchObject({ samples: 3 });
    reader.page.setSampleLimit(2);
    const failed = reader.read(page, false);
    expect(failed).toMatchObject({ failed: true, samples: 3, samplesAfterRelabel: 3 });
    if ("failed" in failed) expect(failed.seen.map((labels) => JSON.parse(labels)[0][1])).toEqual(["a", "b"]);
    reader.page.setSampleLimit(0);
    expect(reader.read(page, false)).toMatchObject({ samples: 3, seriesAdded: 0 });
  });
});

describe("pages that fail", () => {
  test("say where, and which series had no time of their own", () => {
    const { page, read } = createPageReader();
    read(text("a 1", "b 1 1000", "c 1"), false);
    const bytes = text("a 1", "b 1 1000", "c{ 1");
    let caught: unknown;
    try {
      page.read(bytes, bytes.length, createTextParser(bytes), false);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(PageError);
    expect(caught).toMatchObject({ reason: "parse", offset: 16, samples: 2 });
    const { seen, seenWithoutTime } = caught as PageError;
    expect([seen.length, [...seenWithoutTime]]).toEqual([2, [seen[0]]]);
  });

  test("leave cache and metadata as they were", () => {
    const reader = createPageReader();
    const good = text("# TYPE a counter", "a 1", "b 1");
    const before = reader.read(good, false);
    reader.read(text("# TYPE a gauge", "# TYPE b gauge", "a 1", "b 1", "c{"), false);
    expect([...reader.page.metadata.families]).toEqual([["a", { type: "counter", help: "", unit: "" }]]);
    expect(reader.read(good, false)).toEqual({ ...before, seriesAdded: 0 });
    expect(reader.read(text("# TYPE a counter", "a 1", "b 1", "d 1"), false)).toMatchObject({
      rows: [{ family: expect.stringContaining("counter") }, { family: "" }, { family: "" }],
    });
  });

  test("count what they added once, and the memory of it does not grow", () => {
    const reader = createPageReader();
    const failing = (name: string) => reader.read(text(`${name} 1`, "{"), false);
    expect(failing("a")).toMatchObject({ seriesAdded: 1 });
    expect(failing("a")).toMatchObject({ seriesAdded: 0 });
    expect(failing("b")).toMatchObject({ seriesAdded: 1 });
    expect(failing("a")).toMatchObject({ seriesAdded: 1 });
    expect(reader.read(text("a 1", "c 1"), false)).toMatchObject({ seriesAdded: 1 });
  });
});

describe("families", () => {
  test("of a long page survive a sweep of the tables between its steps", () => {
    const { page, identities } = createPageReader();
    identities.addRoots(() => [page.pendingLabelSets]);
    const lines = Array.from({ length: 600 }, (_, i) => `b${i} 1`);
    const bytes = text("# TYPE a counter", "a 1", ...lines);
    const steps = page.begin(bytes, bytes.length, createTextParser(bytes, bytes.length), false);
    if ("layout" in steps) throw new Error("a new page is not known");
    expect(steps.next().done).toBe(false);
    identities.sweep(true);
    identities.internFamily({ name: "other", exposedName: "other", type: "gauge", help: "", unit: "" });
    while (!steps.next().done);
    expect(identities.families.get(page.layout.families[0] ?? 0)).toMatchObject({ name: "a", type: "counter" });
  });

  test("a page that waits for its first step is not touched by what the kernel reads of others meanwhile", () => {
    const [waiting, other] = [createPageReader(), createPageReader()];
    waiting.read(text("a 1", "b 1", "c 1", 'd{n="1"} 1'), false);
    other.read(text("x 1", "y 1"), false);
    const bytes = text("a 2", "b 3", "c 4", 'd{n="2"} 5');
    const steps = waiting.page.begin(bytes, bytes.length, createTextParser(bytes, bytes.length), false);
    if ("layout" in steps) throw new Error("a page with a new line is not known");
    other.read(text("x 2", "y 2"), false);
    let step = steps.next();
    while (!step.done) step = steps.next();
    expect(step.value).toMatchObject({ samples: 4, seriesAdded: 1, duplicates: 0 });
    expect([...step.value.values].sort()).toEqual([2, 3, 4, 5]);
  });

  test("types decide how a new series writes le, wherever the kernel has read on", () => {
    const reader = createPageReader();
    const head = ["# TYPE a gauge", "a 1", "# TYPE h histogram", 'h_bucket{le="1"} 1'];
    reader.read(text(...head, "# TYPE z gauge", "z 1"), false);
    const content = reader.read(text(...head, 'h_bucket{le="2"} 1', "# TYPE z gauge", "z 1", 'z{le="3"} 1'), false);
    if ("failed" in content) throw new Error("the page failed");
    const bounds = content.rows.map(({ labels }) => new Map<string, string>(JSON.parse(labels)).get("le"));
    expect(bounds).toEqual([undefined, "1.0", "2.0", undefined, "3"]);
  });

  test("of two lines that declare a family otherwise the last counts, whichever of them changes", () => {
    const page = (first: string, last: string) => text(`# HELP a ${first}`, "a 1", "b 1", `# HELP a ${last}`, "c 1");
    const reader = createPageReader();
    const help = (bytes: Buffer) => {
      reader.read(bytes, false);
      return reader.page.metadata.families.get("a")?.help;
    };
    expect(help(page("one", "two"))).toBe("two");
    expect(help(page("three", "two"))).toBe("two");
    expect(help(page("three", "four"))).toBe("four");
    expect(help(text("# HELP a three", "a 1", "b 1", "c 1"))).toBe("three");
  });

  test("rows have what stood above them, else what the page before said", () => {
    const reader = createPageReader();
    const types = (page: Buffer) => {
      const content = reader.read(page, false);
      if ("failed" in content) throw new Error("the page failed");
      return content.rows.map(({ family }) => (family === "" ? "" : JSON.parse(family).type));
    };
    const late = text("a 1", "# TYPE a gauge", "b 1");
    expect([types(late), types(late), types(late)]).toEqual([
      ["", ""],
      ["gauge", ""],
      ["gauge", ""],
    ]);
    const twice = text("# TYPE a counter", "a 1", "# TYPE a gauge", 'a{x="1"} 1', "a_sum 1");
    expect([types(twice), types(twice)]).toEqual([
      ["counter", "counter", "counter"],
      ["counter", "counter", "counter"],
    ]);
    expect(types(text("a 1", "# TYPE a gauge", 'a{x="1"} 1'))).toEqual(["gauge", "gauge"]);
    const between = text("# TYPE s gauge", "a 1", "b 1", "# TYPE b counter", "c 1");
    expect([types(between), types(between)]).toEqual([
      ["gauge", "", ""],
      ["gauge", "counter", ""],
    ]);
  });

  test.each([
    { what: "that stays as it is", pages: () => text("a 1", "b 1", "# TYPE c gauge", "c 1") },
    { what: "with other values", pages: (i: number) => text(`a ${i}`, `b ${i}`, "# TYPE c gauge", "c 1") },
    { what: "with other comments", pages: (i: number) => text(`# n ${i}`, "a 1", "b 1", "# TYPE c gauge", "c 1") },
    { what: "with other lines", pages: (i: number) => text("# TYPE c gauge", "c 1", "a 1", "b 1", `d{n="${i}"} 1`) },
  ])("are known for ten scrapes after a page $what no longer declares them", ({ pages }) => {
    const reader = createPageReader();
    const typeOfA = (page: Buffer) => {
      const content = reader.read(page, false);
      if ("failed" in content) throw new Error("the page failed");
      const row = content.rows.find(({ labels }) => JSON.parse(labels)[0][1] === "a");
      return row?.family === "" ? "" : JSON.parse(row?.family ?? "").type;
    };
    const declaring = text("# TYPE a counter", "a 1", "b 1", "# TYPE c gauge", "c 1", "# TYPE b gauge");
    typeOfA(declaring);
    for (let scrape = 1; scrape <= 5; scrape++) expect(typeOfA(pages(scrape))).toBe("counter");
    expect(typeOfA(declaring)).toBe("counter");
    const types = Array.from({ length: 13 }, (_, i) => [typeOfA(pages(i)), reader.page.metadata.families.size]);
    expect(types.slice(0, 10)).toEqual(new Array(10).fill(["counter", 3]));
    // The eleventh page is still read with it, as in Prometheus, which then looks what it can forget.
    expect(types.slice(10)).toEqual([
      ["counter", 1],
      ["", 1],
      ["", 1],
    ]);
  });

  test("pages that fail count among the ten, but only a whole one forgets", () => {
    const reader = createPageReader();
    reader.read(text("# TYPE a counter", "a 1"), false);
    reader.read(text("a 1"), false);
    for (let i = 0; i < 20; i++) expect(reader.read(text("a 1", "{"), false)).toMatchObject({ failed: true });
    expect(reader.page.metadata.families.size).toBe(1);
    reader.read(text("a 1"), false);
    expect(reader.page.metadata.families.size).toBe(0);
  });

  test("a page that fails and declares a family before its fault begins the ten anew", () => {
    const reader = createPageReader();
    reader.read(text("# TYPE a counter", "a 1"), false);
    for (let i = 0; i < 4; i++) reader.read(text("a 1"), false);
    reader.read(text("# TYPE a counter", "a 1", "{"), false);
    for (let i = 0; i < 10; i++) reader.read(text("a 1"), false);
    expect(reader.page.metadata.families.size).toBe(1);
    reader.read(text("a 1"), false);
    expect(reader.page.metadata.families.size).toBe(0);
  });

  test("names that come and go are forgotten", () => {
    const reader = createPageReader();
    for (let scrape = 0; scrape < 50; scrape++) {
      const families = Array.from({ length: 100 }, (_, i) => [`# TYPE f${scrape}_${i} gauge`, `f${scrape}_${i} 1`]);
      reader.read(text("# TYPE a counter", "a 1", ...families.flat()), false);
      expect(reader.page.metadata.families.size).toBeLessThan(1400);
    }
    expect(reader.page.metadata.families.get("a")?.type).toBe("counter");
  });
});

test("the end of a page is compared with that of the page before, not with the buffer both were read into", () => {
  const reader = createPageReader();
  const good = Buffer.from("a 1\n# EOF\n");
  expect(reader.read(good, true)).toMatchObject({ samples: 1 });
  expect(reader.read(Buffer.from("a 1\n# EOX\n"), true)).toMatchObject({ failed: true });
  expect(reader.read(Buffer.from("a 1\n{bad}\n"), true)).toMatchObject({ failed: true });
  expect(reader.read(good, true)).toMatchObject({ samples: 1 });
});

test("a page of comments and an empty page hold no series", () => {
  const reader = createPageReader();
  for (const page of [text("# just this"), text("a 1"), text("# just this"), Buffer.alloc(0)]) {
    const content = sortRows(reader.read(page, false));
    expect(content).toMatchObject({ samples: page.toString().startsWith("a") ? 1 : 0 });
  }
});
