/** Targets from files: what is read, what stays, what a change on disk leads to. */

import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createFileProvider } from "./file.ts";
import { expandGlob } from "./glob.ts";
import { type RecordingContext, recordingContext } from "./recording-context.ts";
import { isFileSdPattern } from "./sd-config.ts";

let folder = "";
let context: RecordingContext = recordingContext();
let done: Promise<void> = Promise.resolve();

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "file-sd-"));
  context = recordingContext();
});
afterEach(async () => {
  context.abort();
  await done;
  await rm(folder, { recursive: true });
});

const path = (name: string) => join(folder, name);
const write = (name: string, text: string) => writeFile(path(name), text);
const jsonOf = (...addresses: string[]) => JSON.stringify(addresses.map((address) => ({ targets: [address] })));

/** Starts with these patterns and gives what the first read gave. */
function start(...patterns: string[]) {
  const config = { kind: "file", files: patterns.map(path), refreshIntervalMs: 3_600_000 } as const;
  done = createFileProvider(config)(context);
  return nextGroups();
}

/** The next update as `file:index -> addresses`. */
async function nextGroups(): Promise<Record<string, string[]>> {
  const groups = await context.nextUpdate();
  return Object.fromEntries(
    groups.map(({ source, targets }) => [
      source.slice(folder.length + 1),
      targets.map((target) => target["__address__"] ?? ""),
    ]),
  );
}

/** Waits for the update that says this; updates before it may show a state in between. */
async function expectEventually(expected: Record<string, string[]>): Promise<void> {
  for (let groups = await nextGroups(); ; groups = await nextGroups()) {
    if (JSON.stringify(groups) === JSON.stringify(expected)) return;
  }
}

describe("reading", () => {
  test("takes JSON and YAML and names the file in a label", async () => {
    await write("a.json", '[{"targets":["a:1"],"labels":{"x":"y"}}]');
    await write("b.yml", "- targets: [b:1]\n- targets: [b:2, b:3]\n");
    await start("a.json", "b.yml", "missing.json");
    expect(context.updates[0]).toEqual([
      {
        source: `${path("a.json")}:0`,
        targets: [{ __address__: "a:1" }],
        labels: { x: "y", __meta_filepath: path("a.json") },
      },
      {
        source: `${path("b.yml")}:0`,
        targets: [{ __address__: "b:1" }],
        labels: { __meta_filepath: path("b.yml") },
      },
      {
        source: `${path("b.yml")}:1`,
        targets: [{ __address__: "b:2" }, { __address__: "b:3" }],
        labels: { __meta_filepath: path("b.yml") },
      },
    ]);
  });

  test("follows wildcards and reads a file that two patterns name once", async () => {
    await write("x1.json", jsonOf("1"));
    await write("x2.json", jsonOf("2"));
    await write("y.json", jsonOf("3"));
    expect(await start("x*.json", "x1.json")).toEqual({ "x1.json:0": ["1"], "x2.json:0": ["2"] });
  });

  test("leaves out a file that is not valid, logs and counts it", async () => {
    await write("a.json", jsonOf("a"));
    await write("b.json", "[null]");
    await mkdir(path("c.json"));
    expect(await start("*.json")).toEqual({ "a.json:0": ["a"] });
    expect(context.failures).toEqual(["file read", "file read"]);
    expect(context.logged.map(({ fields }) => [fields?.["file"], fields?.["error"]])).toEqual([
      [path("b.json"), expect.stringContaining("a group is null")],
      [path("c.json"), "not a regular file"],
    ]);
  });
});

describe("changes", () => {
  test("a file written again is read again, groups that it lacks are deleted", async () => {
    await write("a.json", jsonOf("a", "b"));
    await start("a.json");
    await write("a.json", jsonOf("c"));
    await expectEventually({ "a.json:0": ["c"], "a.json:1": [] });
  });

  test("a file renamed into its place is read", async () => {
    await write("a.json", jsonOf("a"));
    await start("a.json");
    await write("a.tmp", jsonOf("b"));
    await rename(path("a.tmp"), path("a.json"));
    await expectEventually({ "a.json:0": ["b"] });
  });

  test("a new file is found and a removed one deleted", async () => {
    await start("*.json");
    await write("a.json", jsonOf("a"));
    await expectEventually({ "a.json:0": ["a"] });
    await rm(path("a.json"));
    await expectEventually({ "a.json:0": [] });
  });

  test("a file that breaks keeps its groups until it is well again", async () => {
    await write("a.json", jsonOf("a", "b"));
    await start("a.json");
    await write("a.json", "[{");
    await expectEventually({});
    await write("a.json", jsonOf("c"));
    await expectEventually({ "a.json:0": ["c"], "a.json:1": [] });
  });

  test("an empty YAML file deletes its groups", async () => {
    await write("a.yml", "- targets: [a]\n");
    await start("a.yml");
    await write("a.yml", "");
    await expectEventually({ "a.yml:0": [] });
  });

  test("Kubernetes' swap of the data link is noticed", async () => {
    await mkdir(path("v1"));
    await write("v1/a.json", jsonOf("old"));
    await symlink("v1", path("..data"));
    await symlink("..data/a.json", path("a.json"));
    expect(await start("a.json")).toEqual({ "a.json:0": ["old"] });
    await mkdir(path("v2"));
    await write("v2/a.json", jsonOf("new"));
    await symlink("v2", path("..data_tmp"));
    await rename(path("..data_tmp"), path("..data"));
    await expectEventually({ "a.json:0": ["new"] });
  });

  test("a directory that is replaced is watched again", async () => {
    await mkdir(path("d"));
    await write("d/a.json", jsonOf("a"));
    await start("d/a.json", "other.json");
    await rm(path("d"), { recursive: true });
    await expectEventually({ "d/a.json:0": [] });
    await mkdir(path("d"));
    await write("d/a.json", jsonOf("b"));
    // The directory above is watched too, because of the other file.
    await expectEventually({ "d/a.json:0": ["b"] });
    await write("d/a.json", jsonOf("c"));
    await expectEventually({ "d/a.json:0": ["c"] });
  });
});

describe("expandGlob", () => {
  test.each([
    ["*.json", ["a.json", "a1.json", "b.json"]],
    ["a*.json", ["a.json", "a1.json"]],
    ["?.json", ["a.json", "b.json"]],
    ["[b-z].json", ["b.json"]],
    ["[^b]*.json", ["a.json", "a1.json"]],
    ["a\\*.json", []],
    ["*a*1*.*n", ["a1.json"]],
    ["*/c.yml", ["sub/c.yml"]],
    ["b.json", ["b.json"]],
    ["none/*.json", []],
    ["b.json/*.json", []],
  ])("%s", async (pattern, expected) => {
    await mkdir(path("sub"));
    for (const name of ["b.json", "a1.json", "a.json", "c.yml", "sub/c.yml"]) await write(name, "");
    expect(await expandGlob(path(pattern))).toEqual(expected.map(path));
  });

  test("refuses a bracket that is not closed", async () => {
    await expect(expandGlob(path("[a.json"))).rejects.toThrow("not closed");
  });
});

test.each([
  ["a.json", true],
  ["dir/a.yml", true],
  ["dir/*.yaml", true],
  ["dir/a*b*.JSON", true],
  ["dir*/a.json", false],
  ["*/*.json", false],
  ["a.txt", false],
  ["a.Json", false],
  ["*", false],
])("isFileSdPattern(%j) is %s", (pattern, isValid) => expect(isFileSdPattern(pattern)).toBe(isValid));
