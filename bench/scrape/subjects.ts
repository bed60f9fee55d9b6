/** The programs under measurement: where they are found, which version they are and how they are started. */

import { execFileSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { collectorConfig, type Endpoints, prometheusConfig, vmagentConfig } from "./configs.ts";
import type { Command } from "./processes.ts";
import type { Row } from "./rows.ts";

/** "agent" is `millrace agent` beside `millrace run`, "before" another build of Millrace. */
export const subjectNames = ["millrace", "agent", "before", "vmagent", "prometheus", "otelcol"] as const;
export type SubjectName = (typeof subjectNames)[number];

/** Whether it is another program than Millrace. */
export function isPeer(name: SubjectName): boolean {
  return name !== "millrace" && name !== "agent" && name !== "before";
}

export interface Subject {
  readonly name: SubjectName;
  readonly version: string;
  /** Whether its figures may decide a bar; an older peer is only shown. */
  readonly decides: boolean;
  readonly config: (row: Row, endpoints: Endpoints) => string;
  readonly command: (row: Row, dir: string, configFile: string, endpoints: Endpoints) => Command;
  /** How it is started with a file of the Collector's format; undefined where it reads none. */
  readonly collect?: (configFile: string) => Command;
}

interface PeerRule {
  readonly files: readonly string[];
  readonly minVersion: readonly [major: number, minor: number];
  /** What the peers' build script makes, for binaries that know no version of their own. */
  readonly builtVersion: string;
  readonly debianPackage?: string;
  subject(file: string): Pick<Subject, "config" | "command" | "collect">;
}

const repo = fileURLToPath(new URL("../../", import.meta.url));

const peerRules: Partial<Record<SubjectName, PeerRule>> = {
  vmagent: {
    files: ["vmagent"],
    minVersion: [1, 150],
    builtVersion: "1.150",
    debianPackage: "victoria-metrics",
    subject: vmagent,
  },
  prometheus: {
    files: ["prometheus"],
    minVersion: [3, 15],
    builtVersion: "3.15",
    debianPackage: "prometheus",
    subject: prometheus,
  },
  otelcol: {
    files: ["otelcol", "otelcol-contrib"],
    minVersion: [0, 155],
    builtVersion: "0.155",
    subject: otelcol,
  },
};

/** The subject, or undefined where its program is not on this machine. `before` is the folder of another build of Millrace. */
export function findSubject(name: SubjectName, before: string | undefined): Subject | undefined {
  const rule = peerRules[name];
  if (rule !== undefined) return findPeer(name, rule);
  const root = name === "before" ? before : repo;
  return root === undefined ? undefined : findMillrace(name, root);
}

function findMillrace(name: SubjectName, root: string): Subject | undefined {
  const launcher = join(root, "bin/millrace.mjs");
  if (!existsSync(launcher) || !existsSync(join(root, "dist/cli/main.js"))) return undefined;
  const bundled = join(repo, "node_modules/.bin/node");
  const node = existsSync(bundled) ? bundled : process.execPath;
  const version = (output(node, [launcher, "--version"]).split("\n")[0] ?? "").replace(/^millrace /, "").trim();
  const runs = (row: Row) => row.mode === "run" && name !== "agent";
  // Queues in memory, as before there were others; a build from then knows no empty path.
  const inMemory = name === "before" ? [] : ["--storage.agent.path="];
  const collect = (configFile: string) => ({ argv: [node, launcher, "run", "--config", configFile] });
  return {
    name,
    collect,
    version: `${version || "unknown"} (node ${output(node, ["--version"]).trim()})`,
    decides: true,
    config: (row, endpoints) => (runs(row) ? collectorConfig : prometheusConfig)(row, endpoints),
    command: (row, _dir, configFile) => ({
      argv: runs(row)
        ? collect(configFile).argv
        : [node, launcher, "agent", `--config.file=${configFile}`, "--web.listen-address=127.0.0.1:0", ...inMemory],
      env: row.mode === "delay" ? { MILLRACE_EVENT_LOOP_DELAY: "1" } : undefined,
    }),
  };
}

function findPeer(name: SubjectName, rule: PeerRule): Subject | undefined {
  for (const { dir, built } of peerFolders()) {
    for (const base of rule.files) {
      const file = join(dir, base);
      if (!isExecutable(file)) continue;
      const version = versionOf(file, rule, built);
      return { name, version: version ?? "unknown", decides: isNewEnough(version, rule), ...rule.subject(file) };
    }
  }
  return undefined;
}

function peerFolders(): { dir: string; built: boolean }[] {
  const built = [process.env["PEERS"] ?? "", join(homedir(), ".cache/millrace-peers")].filter((dir) => dir !== "");
  const onPath = (process.env["PATH"] ?? "").split(delimiter).filter((dir) => dir !== "");
  return [...built.map((dir) => ({ dir, built: true })), ...onPath.map((dir) => ({ dir, built: false }))];
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Binaries built from plain sources print no version: then it is that of the build script or of the package. */
function versionOf(file: string, rule: PeerRule, built: boolean): string | undefined {
  const printed = /\bv?(\d+\.\d+(?:\.\d+)?)/.exec(output(file, ["--version"]).split("\n")[0] ?? "")?.[1];
  if (printed !== undefined) return printed;
  if (built) return rule.builtVersion;
  if (rule.debianPackage === undefined) return undefined;
  const packaged = output("dpkg-query", ["-W", "-f=${Version}", rule.debianPackage]);
  return /^(?:\d+:)?(\d+\.\d+(?:\.\d+)?)/.exec(packaged)?.[1];
}

function isNewEnough(version: string | undefined, rule: PeerRule): boolean {
  const [major = 0, minor = 0] = (version ?? "").split(".").map(Number);
  return major > rule.minVersion[0] || (major === rule.minVersion[0] && minor >= rule.minVersion[1]);
}

/** Standard output and error of a short command, or "" where it cannot be run. */
function output(file: string, args: string[]): string {
  try {
    return execFileSync(file, args, { encoding: "utf8", timeout: 10_000, stdio: ["ignore", "pipe", "ignore"] });
  } catch (error) {
    return String((error as { stdout?: unknown }).stdout ?? "");
  }
}

function vmagent(file: string): Pick<Subject, "config" | "command"> {
  const help = output(file, ["--help"]);
  // The sink speaks plain remote write 1.0, as a Prometheus server does; newer versions would try zstd first.
  const plainProtocol = help.includes("-remoteWrite.forcePromProto") ? ["-remoteWrite.forcePromProto=true"] : [];
  return {
    config: vmagentConfig,
    command: (_row, dir, configFile, endpoints) => ({
      argv: [
        file,
        `-promscrape.config=${configFile}`,
        "-promscrape.maxScrapeSize=256MB",
        `-remoteWrite.url=${endpoints.sink}`,
        `-remoteWrite.tmpDataPath=${join(dir, "storage")}`,
        ...plainProtocol,
        "-httpListenAddr=127.0.0.1:0",
        "-loggerLevel=WARN",
      ],
    }),
  };
}

function prometheus(file: string): Pick<Subject, "config" | "command"> {
  return {
    config: prometheusConfig,
    command: (_row, dir, configFile) => ({
      argv: [
        file,
        "--agent",
        `--config.file=${configFile}`,
        `--storage.agent.path=${join(dir, "storage")}`,
        "--web.listen-address=127.0.0.1:0",
        "--log.level=warn",
      ],
    }),
  };
}

function otelcol(file: string): Pick<Subject, "config" | "command" | "collect"> {
  const collect = (configFile: string) => ({ argv: [file, `--config=${configFile}`] });
  return { config: collectorConfig, command: (_row, _dir, configFile) => collect(configFile), collect };
}
