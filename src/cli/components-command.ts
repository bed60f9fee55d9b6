/** `millrace components`: what this build has, as YAML in the shape that otelcol prints. */

import type { Command } from "commander";
import { productVersion } from "../collector/version.ts";
import type { ComponentKind } from "../component/define.ts";

const kinds: readonly ComponentKind[] = ["receiver", "processor", "exporter", "connector", "extension"];

export function addComponentsCommand(program: Command): void {
  program
    .command("components")
    .description("list the components with their stability, as YAML")
    .action(async () => {
      process.stdout.write(await listComponents());
    });
}

async function listComponents(): Promise<string> {
  const { Registry } = await import("../registry.ts");
  const { all } = new Registry();
  const lines = [
    "buildinfo:",
    "    command: millrace",
    "    description: Millrace",
    `    version: ${productVersion()}`,
  ];
  for (const kind of kinds) {
    lines.push(`${kind}s:`);
    for (const entry of all.filter((one) => one.kind === kind)) {
      lines.push(`    - name: ${entry.type}`);
      if (entry.aliases.length > 0) lines.push(`      aliases: [${entry.aliases.join(", ")}]`);
      lines.push("      stability:");
      if (kind === "extension") lines.push(`        extension: ${titled(entry.extensionStability)}`);
      else if (kind === "connector") {
        for (const { from, to, stability } of entry.pairs) lines.push(`        ${from}-to-${to}: ${titled(stability)}`);
      } else {
        for (const signal of ["logs", "metrics", "traces"] as const) {
          lines.push(`        ${signal}: ${titled(entry.stability[signal])}`);
        }
      }
    }
  }
  return `${lines.join("\n")}\n`;
}

function titled(stability: string | undefined): string {
  return stability === undefined ? "Undefined" : stability[0]?.toUpperCase() + stability.slice(1);
}
