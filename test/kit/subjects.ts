/** Starts Millrace and its peers with a configuration file, ready to be used. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "./free-port.ts";
import { peerPath } from "./peers.ts";
import { startProcess, TestProcess } from "./processes.ts";
import type { TempFolder } from "./temp.ts";
import { waitFor } from "./wait.ts";

const repo = fileURLToPath(new URL("../../", import.meta.url));
/** The command under test; `MILLRACE` names another copy, as for an installed package. */
const launcher = process.env["MILLRACE"] ?? join(repo, "bin/millrace.mjs");
const bundledNode = join(repo, "node_modules/.bin/node");

/** A running program with the address of its API. */
export interface RunningSubject extends AsyncDisposable {
  readonly process: TestProcess;
  /** `http://host:port`. */
  readonly url: string;
}

/** Arguments of Millrace on the Node of this package. */
export function millrace(title: string, ...args: string[]): { title: string; file: string; args: string[] } {
  return { title, file: bundledNode, args: [launcher, ...args] };
}

/** Environment of a Millrace that runs without WebAssembly. */
export const plainKernels: Readonly<Record<string, string>> = { MILLRACE_KERNELS: "plain" };

/** What `millrace agent` prints when it is ready, with its address. */
export const agentReady = /Server is ready to receive web requests.*?url="?(http:\/\/[^\s"]+)/;

/** The command line of `millrace agent` with the file, in the folder, on a port of its choice; queues are in memory unless a flag says otherwise. */
export function agentCommand(folder: TempFolder, configFile: string, ...flags: string[]) {
  const command = millrace(
    "millrace agent",
    "agent",
    `--config.file=${configFile}`,
    "--web.listen-address=127.0.0.1:0",
    "--storage.agent.path=",
    ...flags,
  );
  return { ...command, cwd: folder.path };
}

/** `millrace agent` with the file. */
export async function startMillraceAgent(
  folder: TempFolder,
  configFile: string,
  ...flags: string[]
): Promise<RunningSubject> {
  const { process: started, match } = await startProcess(agentCommand(folder, configFile, ...flags), agentReady);
  return { process: started, url: match[1] ?? "", [Symbol.asyncDispose]: () => started[Symbol.asyncDispose]() };
}

/** `millrace run` with the file; ready when its pipelines run. */
export async function startMillraceRun(configFile: string, ...flags: string[]): Promise<TestProcess> {
  const { process: started } = await startProcess(
    millrace("millrace run", "run", "--config", configFile, ...flags),
    /Everything is ready/,
  );
  return started;
}

/** A Prometheus agent with the file. Discovery is applied each second, so that it begins soon. */
export async function startPrometheusAgent(folder: TempFolder, configFile: string): Promise<RunningSubject> {
  return startPrometheus("prometheus agent", [
    "--agent",
    `--config.file=${configFile}`,
    `--storage.agent.path=${folder.file("prometheus-data")}`,
    "--scrape.discovery-reload-interval=1s",
  ]);
}

/** A Prometheus server that takes remote write; `port` as from `freePort`, so that it can be started again there. */
export async function startPrometheusServer(
  dataFolder: string,
  configFile: string,
  port?: number,
): Promise<RunningSubject> {
  const flags = [
    `--config.file=${configFile}`,
    `--storage.tsdb.path=${dataFolder}`,
    "--web.enable-remote-write-receiver",
    "--query.lookback-delta=30s",
  ];
  return startPrometheus("prometheus server", flags, port);
}

async function startPrometheus(title: string, flags: readonly string[], port?: number): Promise<RunningSubject> {
  const address = `127.0.0.1:${port ?? (await freePort())}`;
  const started = new TestProcess({
    title,
    file: peerPath("prometheus"),
    args: [...flags, `--web.listen-address=${address}`],
  });
  const url = `http://${address}`;
  try {
    await waitFor(`${title} to be ready`, async () => {
      if (!started.isRunning) throw new Error(started.tail());
      return (await fetch(`${url}/-/ready`)).ok;
    });
  } catch (error) {
    await started.stop("SIGKILL");
    throw new Error(started.tail(), { cause: error });
  }
  return { process: started, url, [Symbol.asyncDispose]: () => started[Symbol.asyncDispose]() };
}

/** otelcol-contrib with the file; ready when its pipelines run. */
export async function startCollector(configFile: string): Promise<TestProcess> {
  const { process: started } = await startProcess(
    { title: "otelcol", file: peerPath("otelcol"), args: ["--config", configFile] },
    /Everything is ready/,
    60_000,
  );
  return started;
}
