/** The real programs that Millrace is measured against, where this machine has them. */

import { accessSync, constants } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

export type PeerName = "prometheus" | "promtool" | "otelcol" | "telemetrygen" | "node_exporter";

const fileNames: Record<PeerName, readonly string[]> = {
  prometheus: ["prometheus"],
  promtool: ["promtool"],
  otelcol: ["otelcol-contrib", "otelcol"],
  telemetrygen: ["telemetrygen"],
  node_exporter: ["prometheus-node-exporter", "node_exporter"],
};

/** Finds a peer in the folder `PEERS`, in the cache of the build script, then on PATH. Its presence alone decides. */
export function findPeer(name: PeerName): string | undefined {
  const folders = [
    process.env["PEERS"] ?? "",
    join(homedir(), ".cache/millrace-peers"),
    ...(process.env["PATH"] ?? "").split(delimiter),
  ].filter((folder) => folder !== "");
  for (const folder of folders) {
    for (const base of fileNames[name]) {
      const file = join(folder, base);
      if (isExecutable(file)) return file;
    }
  }
  return undefined;
}

/** Why a test that needs these peers cannot run, or undefined when all are there. */
export function missingPeers(...names: PeerName[]): string | undefined {
  const missing = names.filter((name) => findPeer(name) === undefined);
  if (missing.length === 0) return undefined;
  return `${missing.join(" and ")} not found in the folder PEERS, in ~/.cache/millrace-peers or on PATH`;
}

/** Path of a peer; throws when it is absent. */
export function peerPath(name: PeerName): string {
  const file = findPeer(name);
  if (file === undefined) throw new Error(missingPeers(name));
  return file;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
