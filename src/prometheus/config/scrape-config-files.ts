/** Reads the files that `scrape_config_files` names. */

import { dirname } from "node:path";
import { parseYaml } from "../../codec/yaml/parse-yaml.ts";
import { toError } from "../../model/errors.ts";
import { type DecodeContext, fail } from "./decode-context.ts";
import { pathResolver } from "./node-config-files.ts";
import { decodeScrapeConfig } from "./scrape-config.ts";
import { SectionReader } from "./section-reader.ts";
import type { GlobalConfig, ScrapeConfig } from "./types.ts";

/** One `*`, in the last segment only. */
const PATTERN = /^[^*]*(\*[^/]*)?$/;

export interface ScrapeConfigFileReader {
  readonly readFile: (path: string) => string;
  /** The existing files that match, sorted. */
  readonly glob: (pattern: string) => readonly string[];
}

export interface ScrapeConfigFiles {
  readonly patterns: readonly string[];
  readonly read: readonly string[];
  readonly scrapeConfigs: readonly ScrapeConfig[];
}

/** Checks the patterns and, with a reader, decodes what they match. */
export function decodeScrapeConfigFiles(
  root: SectionReader,
  global: GlobalConfig,
  reader: ScrapeConfigFileReader | undefined,
): ScrapeConfigFiles {
  const key = "scrape_config_files";
  const { context } = root;
  const patterns: string[] = [];
  const read: string[] = [];
  const scrapeConfigs: ScrapeConfig[] = [];
  const items = root.items(key);
  for (const [index, written] of root.strings(key).entries()) {
    const path = [...root.pathOf(key), index];
    const at = items[index]?.node.at;
    if (!PATTERN.test(written)) {
      fail(context, path, "expected a path with at most one *, in its last segment", at);
      continue;
    }
    const pattern = context.resolvePath(written);
    patterns.push(pattern);
    if (reader === undefined || pattern === "") continue;
    try {
      for (const file of reader.glob(pattern)) {
        read.push(file);
        scrapeConfigs.push(...decodeFile(context, file, reader.readFile(file), global));
      }
    } catch (caught) {
      fail(context, path, `cannot be read: ${toError(caught).message}`, at);
    }
  }
  return { patterns, read, scrapeConfigs };
}

function decodeFile(context: DecodeContext, file: string, text: string, global: GlobalConfig): ScrapeConfig[] {
  const { root, issues } = parseYaml(text, file, { furtherDocuments: "ignore" });
  context.issues.push(...issues);
  const inFile: DecodeContext = { ...context, resolvePath: pathResolver(dirname(file)) };
  const section = new SectionReader(inFile, root, [], ["scrape_configs"]);
  return section
    .items("scrape_configs")
    .map(({ node, path }) => decodeScrapeConfig(inFile, node, path, global))
    .filter((config) => config !== undefined);
}
