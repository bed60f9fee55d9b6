/** Queues on disk where the disk is full, read-only, of another version, foreign or taken: errors, back-pressure, recovery. */

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { CountingTargets } from "../kit/counting-targets.ts";
import { freePort } from "../kit/free-port.ts";
import { NumberedSenders, NumberedSink } from "../kit/numbered-senders.ts";
import { PageExporter } from "../kit/page-exporter.ts";
import { TestProcess } from "../kit/processes.ts";
import { futureSegment, nowhere, queueConfig } from "../kit/queue-config.ts";
import { accept, RecordingSink } from "../kit/recording-sink.ts";
import { mountSmallDisk } from "../kit/small-disk.ts";
import { agentCommand, millrace, startMillraceAgent, startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder, type TempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";

/** The disk may be filled to the end, and who has the queue is not waited for long. */
const storage = { min_free_space: 0, timeout: "100ms" };

const agentConfig = (url = `${nowhere}/write`, jobs: readonly object[] = []) =>
  stringify({
    global: { scrape_interval: "200ms", scrape_timeout: "200ms" },
    remote_write: [{ url, queue_config: { batch_send_deadline: "20ms", min_backoff: "10ms", max_backoff: "50ms" } }],
    scrape_configs: jobs,
  });

/** The command as somebody runs it to whom permissions apply; undefined where that cannot be had. */
function withoutOverride<T extends { file: string; args: string[] }>(command: T): T | undefined {
  if (process.getuid?.() !== 0) return command;
  const args = ["--bounding-set=-dac_override,-dac_read_search", "--", command.file, ...command.args];
  return spawnSync("setpriv", [...args.slice(0, 2), "true"]).status === 0
    ? { ...command, file: "setpriv", args }
    : undefined;
}

const subjects = [
  {
    name: "run",
    key: "exporters::otlp_http::sending_queue::storage",
    queue: (directory: string) => join(directory, "otlp_http.traces"),
    command: (folder: TempFolder, directory: string) =>
      millrace(
        "millrace run",
        "run",
        "--config",
        folder.write("run.yaml", queueConfig({ directory, endpoint: "127.0.0.1:0", backend: nowhere, storage })),
      ),
    ready: /Everything is ready/,
  },
  {
    name: "agent",
    key: "--storage.agent.path",
    /** Below it is the digest of the URL. */
    queue: (directory: string) => join(directory, "remote-write"),
    command: (folder: TempFolder, directory: string) =>
      agentCommand(folder, folder.write("prometheus.yml", agentConfig()), `--storage.agent.path=${directory}`),
    ready: /Server is ready/,
  },
] as const;

describe.each(subjects)("a directory for $name", ({ key, queue, command, ready }) => {
  async function startFailing(folder: TempFolder, directory: string) {
    await using started = new TestProcess(command(folder, directory));
    const { code } = await started.ended;
    return { code, output: started.output };
  }

  it("on a read-only file system is an error that names the key", async (context) => {
    using folder = createTempFolder("read-only");
    using disk = mountSmallDisk(folder, 4);
    if (disk === undefined) return context.skip("mounting is not allowed");
    disk.makeReadOnly();
    const { code, output } = await startFailing(folder, join(disk.path, "queues"));
    expect(code).toBe(1);
    expect(output).toMatch(/(?:file_storage::directory|--storage\.agent\.path): .*read-only/i);
  });

  it("that may not be written is an error that names the key", async (context) => {
    using folder = createTempFolder("forbidden");
    const directory = folder.file("queues");
    mkdirSync(directory, { mode: 0o500 });
    const forbidden = withoutOverride(command(folder, directory));
    if (forbidden === undefined) return context.skip("root cannot give up its right to write everywhere");
    await using started = new TestProcess(forbidden);
    expect((await started.ended).code).toBe(1);
    expect(started.output).toMatch(/(?:sending_queue::storage|--storage\.agent\.path): .*permission denied/i);
  });

  it("that is a file is an error", async () => {
    using folder = createTempFolder("file");
    expect(await startFailing(folder, folder.write("queues", ""))).toEqual({
      code: 1,
      output: expect.stringMatching(/(?:file_storage::directory|--storage\.agent\.path): .*queues/),
    });
  });

  it("of a version from the future is refused and not touched", async () => {
    using folder = createTempFolder("future");
    const directory = folder.file("queues");
    const path = await findQueue(folder, directory);
    const bytes = futureSegment(900);
    const file = join(path, "segment-000000000900.mrq");
    writeFileSync(file, bytes);
    const { code, output } = await startFailing(folder, directory);
    expect(code).toBe(1);
    expect(output).toContain(key);
    expect(output).toMatch(/segment-000000000900\.mrq has version 2 of the format/);
    expect(readFileSync(file)).toEqual(bytes);
  });

  it("with files of others is used, and they stay", async () => {
    using folder = createTempFolder("foreign");
    const directory = folder.file("queues");
    const path = await findQueue(folder, directory);
    const foreign = { notes: "hello", "segment-000000000901.mrq": "no segment at all".repeat(20) };
    for (const [name, text] of Object.entries(foreign)) writeFileSync(join(path, name), text);
    await using started = new TestProcess(command(folder, directory));
    await waitFor("the start", () => ready.test(started.output));
    await started.stop();
    for (const [name, text] of Object.entries(foreign)) expect(readFileSync(join(path, name), "utf8")).toBe(text);
  });

  it("that another process has is refused, and the process named", async () => {
    using folder = createTempFolder("taken");
    const directory = folder.file("queues");
    await using first = new TestProcess(command(folder, directory));
    await waitFor("the start", () => ready.test(first.output));
    const { code, output } = await startFailing(folder, directory);
    expect(code).toBe(1);
    expect(output).toMatch(
      new RegExp(`${key}: .* is in use by another process \\(process \\d+, millrace (run|agent)\\)`),
    );
  });

  /** Makes the queue's directory by a start, and finds it. */
  async function findQueue(folder: TempFolder, directory: string): Promise<string> {
    await using started = new TestProcess(command(folder, directory));
    await waitFor("the start", () => ready.test(started.output));
    await started.stop();
    const known = queue(directory);
    if (existsSync(join(known, "positions-0"))) return known;
    return join(known, readdirSync(known)[0] ?? "");
  }
});

it.each([
  ["without a flag under data-agent/", [], true],
  ['with --storage.agent.path="" in memory', ["--storage.agent.path="], false],
])("an agent keeps its queues %s", async (_name, flags, isOnDisk) => {
  using folder = createTempFolder("default");
  const config = folder.write("prometheus.yml", agentConfig());
  const command = millrace("agent", "agent", "--config.file", config, "--web.listen-address=127.0.0.1:0", ...flags);
  await using started = new TestProcess({ ...command, cwd: folder.path });
  await waitFor("the start", () => /Server is ready/.test(started.output));
  await started.stop();
  expect(existsSync(join(folder.path, "data-agent/remote-write"))).toBe(isOnDisk);
  expect(readdirSync(folder.path).sort()).toEqual(isOnDisk ? ["data-agent", "prometheus.yml"] : ["prometheus.yml"]);
});

it("run: a reload hands the queue of an exporter over, in order", async () => {
  using folder = createTempFolder("handover");
  await using sink = await NumberedSink.start();
  sink.respond = () => (Math.random() < 0.5 ? 503 : 200);
  const endpoint = `127.0.0.1:${await freePort()}`;
  const text = queueConfig({ directory: folder.file("queues"), endpoint, backend: sink.url, storage });
  const config = folder.write("run.yaml", text);
  await using started = await startMillraceRun(config);
  const senders = new NumberedSenders(`http://${endpoint}`, 4, 5);
  try {
    for (let reload = 1; reload <= 4; reload++) {
      const before = senders.acknowledged;
      await waitFor("items", () => senders.acknowledged > before + 30);
      folder.write(
        "run.yaml",
        text.replace("storage: file_storage", `storage: file_storage\n      num_consumers: ${reload}`),
      );
      process.kill(started.pid, "SIGHUP");
    }
    const before = senders.acknowledged;
    await waitFor("items", () => senders.acknowledged > before + 30);
  } finally {
    await senders.stop();
  }
  sink.respond = () => 200;
  await waitFor("all of it", () => sink.compare(senders.sources).lost.length === 0);
  expect(sink.compare(senders.sources)).toMatchObject({ lost: [], misplaced: [] });
  expect(started.output.match(/Opened the queue on disk/g)?.length).toBeGreaterThan(3);
  expect(await started.stop()).toEqual({ code: 0, signal: null });
});

it("run: a full disk refuses senders, loses nothing that was taken, and goes on when there is room", async (context) => {
  using folder = createTempFolder("full-run");
  using disk = mountSmallDisk(folder, 8);
  if (disk === undefined) return context.skip("mounting is not allowed");
  await using sink = await NumberedSink.start();
  sink.respond = () => 503;
  const endpoint = `127.0.0.1:${await freePort()}`;
  mkdirSync(join(disk.path, "queues"));
  const config = folder.write(
    "run.yaml",
    queueConfig({ directory: join(disk.path, "queues"), endpoint, backend: sink.url, storage }),
  );
  await using started = await startMillraceRun(config);
  const senders = new NumberedSenders(`http://${endpoint}`, 4, 5);
  try {
    await waitFor("some items", () => senders.acknowledged > 50);
    disk.fill(16_384);
    await waitFor("refusals", () => (senders.refusals.get("503") ?? 0) > 20);
    disk.clear();
    const before = senders.acknowledged;
    await waitFor("items again", () => senders.acknowledged > before + 50);
  } finally {
    await senders.stop();
  }
  sink.respond = () => 200;
  await waitFor("all of it", () => sink.compare(senders.sources).lost.length === 0);
  expect(sink.compare(senders.sources)).toEqual({ lost: [], misplaced: [], repeated: 0 });
  expect(await started.stop()).toEqual({ code: 0, signal: null });
});

it("agent: a full disk refuses scrapes, loses nothing that was taken, and goes on when there is room", async (context) => {
  using folder = createTempFolder("full-agent");
  using disk = mountSmallDisk(folder, 8);
  if (disk === undefined) return context.skip("mounting is not allowed");
  await using sink = await RecordingSink.start();
  await using exporter = await PageExporter.start(1000);
  const names = ["a", "b", "c"];
  const targets = new CountingTargets(exporter, names);
  const path = sink.path("/write");
  path.respond = () => ({ kind: "reply", status: 503 });
  const config = folder.write("prometheus.yml", agentConfig(sink.url("/write"), targets.jobs(exporter)));
  const flags = ["--storage.agent.when-full=block", "--storage.agent.min-free-space=0"];
  await using agent = await startMillraceAgent(folder, config, `--storage.agent.path=${disk.path}/data`, ...flags);
  const dropped = async () => {
    const page = await (await fetch(`${agent.url}/metrics`)).text();
    return Number(/samples_dropped_total\{[^}]*reason="queue_full"[^}]*\} (\d+)/.exec(page)?.[1] ?? 0);
  };
  await waitFor("some scrapes", () => targets.allServed(5));
  disk.fill(4096);
  const servedBefore = new Map(names.map((name) => [name, targets.served(name)]));
  await waitFor("refused scrapes", async () => (await dropped()) > 0);
  disk.clear();
  path.respond = () => accept;
  const served = Math.max(...names.map((name) => targets.served(name)));
  await waitFor("scrapes again", () => names.every((name) => targets.arrived(path, name).some((n) => n > served + 2)));
  expect(await agent.process.stop()).toEqual({ code: 0, signal: null });
  for (const name of names) {
    const arrived = targets.arrived(path, name);
    expect(arrived).toEqual([...arrived].sort((a, b) => a - b));
    // What was taken before the disk was full.
    for (let n = 1; n < (servedBefore.get(name) ?? 0); n++) expect(arrived).toContain(n);
  }
});

it("agent: at its limit the oldest is dropped, counted with its reason, and the newest arrives, in order", async () => {
  using folder = createTempFolder("limit-agent");
  await using sink = await RecordingSink.start();
  await using exporter = await PageExporter.start(1000);
  const names = ["a", "b"];
  const targets = new CountingTargets(exporter, names);
  const path = sink.path("/write");
  path.respond = () => ({ kind: "reply", status: 503 });
  const config = folder.write("prometheus.yml", agentConfig(sink.url("/write"), targets.jobs(exporter)));
  const storage = [`--storage.agent.path=${folder.file("data")}`, "--storage.agent.max-size=32KB"];
  await using agent = await startMillraceAgent(folder, config, ...storage);
  const dropped = async () => {
    const page = await (await fetch(`${agent.url}/metrics`)).text();
    return Number(/storage_dropped_items_total\{[^}]*reason="queue_full"[^}]*\} (\d+)/.exec(page)?.[1] ?? 0);
  };
  await waitFor("something that is dropped", async () => (await dropped()) > 0);
  path.respond = () => accept;
  const served = Math.max(...names.map((name) => targets.served(name)));
  await waitFor("the newest", () => names.every((name) => targets.arrived(path, name).some((n) => n > served + 2)));
  expect(await agent.process.stop()).toEqual({ code: 0, signal: null });
  for (const name of names) {
    const arrived = targets.arrived(path, name);
    expect(arrived).toEqual([...arrived].sort((a, b) => a - b));
    // What was under way when it was dropped arrives; of what is behind it the oldest is missing, the newest is all there.
    const last = arrived.at(-1) ?? 0;
    expect(new Set(arrived).size).toBeLessThan(last);
    for (let n = served; n < last; n++) expect(arrived).toContain(n);
  }
});
