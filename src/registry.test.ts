import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { defineProcessor } from "./component/define.ts";
import { z } from "./component/index.ts";
import { Registry } from "./registry.ts";

const registry = new Registry();

describe("what is known before loading", () => {
  test.each(registry.all.map((entry) => ({ name: `${entry.kind} ${entry.type}`, entry })))(
    "$name is what its definition says",
    async ({ entry }) => {
      const definition = await registry.load(entry.kind, entry.type);
      const isWithSignals = definition.kind !== "connector" && definition.kind !== "extension";
      expect({
        kind: definition.kind,
        type: definition.type,
        aliases: definition.aliases ?? [],
        stability: isWithSignals ? definition.stability : {},
        pairs: definition.kind === "connector" ? definition.pairs : [],
        extensionStability: definition.kind === "extension" ? definition.stability : undefined,
      }).toEqual({
        kind: entry.kind,
        type: entry.type,
        aliases: entry.aliases,
        stability: entry.stability,
        pairs: entry.pairs,
        extensionStability: entry.extensionStability,
      });
    },
  );

  test("every component has a folder of its name with an example", () => {
    const missing = registry.all
      .map(({ kind, type }) => `${kind}s/${type}/example.yaml`)
      .filter((path) => !existsSync(new URL(path, import.meta.url)));
    expect(missing).toEqual([]);
  });

  test("nothing is both there and later", () => {
    const both = registry.all.filter(({ kind, type, aliases }) =>
      [type, ...aliases].some((name) => registry.later(kind, name)),
    );
    expect(both).toEqual([]);
  });
});

describe("find", () => {
  test("finds an older spelling and says so", () => {
    expect(registry.find("exporter", "prometheusremotewrite")).toMatchObject({
      type: "prometheus_remote_write",
      deprecatedAlias: true,
      signals: ["metrics"],
    });
    expect(registry.find("exporter", "debug")?.deprecatedAlias).toBe(false);
  });

  test("kinds are apart", () => {
    expect(registry.find("exporter", "batch")).toBeUndefined();
  });

  test("has components from outside", async () => {
    const mine = defineProcessor({
      type: "mine",
      stability: { metrics: "alpha" },
      config: z.strictObject({}),
      create: () => ({}),
    });
    const withMine = new Registry([mine]);
    expect(withMine.find("processor", "mine")).toMatchObject({ type: "mine", signals: ["metrics"] });
    expect(await withMine.load("processor", "mine")).toBe(mine);
  });
});
