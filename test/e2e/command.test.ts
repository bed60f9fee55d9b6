/** The built command as a person and a script meet it: exit codes, messages, merged files, and how soon it scrapes. */

import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { PageExporter } from "../kit/page-exporter.ts";
import { startProcess, TestProcess } from "../kit/processes.ts";
import { RecordingSink } from "../kit/recording-sink.ts";
import { runConfig } from "../kit/run-file.ts";
import { millrace, startMillraceAgent, startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder } from "../kit/temp.ts";

const longestStartMs = 5000;

/** Runs the command to its end in the folder. */
async function run(cwd: string, ...args: string[]): Promise<{ code: number | null; output: string }> {
  await using process = new TestProcess({ ...millrace("millrace", ...args), cwd });
  const { code } = await process.ended;
  return { code, output: process.output };
}

function childrenFile(pid: number): string {
  return `/proc/${pid}/task/${pid}/children`;
}

describe("the command", () => {
  const good = runConfig({ exporters: { debug: {} } });
  const files: Readonly<Record<string, string>> = {
    "good.yaml": good,
    "bad.yaml": [
      "receivers:",
      "  prometheus:",
      "    config:",
      "      global: {scrape_timeout: 10}",
      "      scrape_configs:",
      "        - job_name: a",
      "          scrape_intervall: 15s",
      "          relabel_configs: [{source_labels: [a], actoin: drop}]",
      "processors:",
      "  batch: {timeoutt: 1s}",
      "exporters:",
      "  debug: {verbosity: loud}",
      "service:",
      "  pipelines:",
      "    metrics:",
      "      receivers: [prometheus]",
      "      processors: [batch, bach]",
      "      exporters: [debug]",
      "",
    ].join("\n"),
    "prometheus.yml": "scrape_configs:\n  - job_name: a\n",
    "bad-prometheus.yml": "scrape_configs:\n  - job_nam: a\n  - job_name: b\n    scrape_interval: 1x\n",
  };

  it.each<{ args: string[]; code: number; output: RegExp }>([
    { args: ["--version"], code: 0, output: /^millrace \d+\.\d+\.\d+\n$/ },
    { args: ["--help"], code: 0, output: /Usage: millrace[\s\S]*agent[\s\S]*validate[\s\S]*components/ },
    { args: ["agent", "--help"], code: 0, output: /--config\.file[\s\S]*--web\.listen-address/ },
    { args: ["components"], code: 0, output: /receivers:\n {4}- name: prometheus\n/ },
    { args: ["validate", "--config", "good.yaml"], code: 0, output: /^$/ },
    { args: ["validate", "--config.file", "prometheus.yml"], code: 0, output: /^$/ },
    {
      args: ["validate", "--config.file=bad-prometheus.yml"],
      code: 1,
      output: /bad-prometheus\.yml:2:5[\s\S]*bad-prometheus\.yml:4:22/,
    },
    { args: ["agent", "--config.file=bad-prometheus.yml"], code: 1, output: /job_nam.*job_name/ },
    { args: ["agent", "--config.file=absent.yml"], code: 1, output: /absent\.yml/ },
    { args: ["run", "--config", "absent.yaml"], code: 1, output: /absent\.yaml/ },
    {
      args: ["run", "--config", "good.yaml", "--set", "exporters.debug.verbosity=loud"],
      code: 1,
      output: /exporters::debug::verbosity/,
    },
    { args: ["run"], code: 2, output: /--config/ },
    { args: ["run", "--confg", "good.yaml"], code: 2, output: /unknown option '--confg'/ },
    { args: ["agent", "--web.listen"], code: 2, output: /unknown option '--web\.listen'/ },
    { args: ["agent", "--queue.max-size=lots"], code: 2, output: /--queue\.max-size: expected a size/ },
    { args: ["agnet"], code: 2, output: /unknown command 'agnet'/ },
  ])("$args ends with $code", async ({ args, code, output }) => {
    using folder = createTempFolder("command");
    for (const [name, text] of Object.entries(files)) folder.write(name, text);
    expect(await run(folder.path, ...args)).toEqual({ code, output: expect.stringMatching(output) });
  });

  it("names every fault of a file at once, with its place and the nearest key", async () => {
    using folder = createTempFolder("faults");
    folder.write("bad.yaml", files["bad.yaml"] ?? "");
    const { code, output } = await run(folder.path, "validate", "--config", "bad.yaml");
    expect(code).toBe(1);
    const job = "receivers::prometheus::config::scrape_configs[0]";
    for (const [path, message, place] of [
      [`${job}::scrape_intervall`, '"scrape_interval"', "7:11"],
      [`${job}::relabel_configs[0]::actoin`, '"action"', "8:50"],
      ["receivers::prometheus::config::global::scrape_timeout", "", "4:32"],
      ["processors::batch::timeoutt", '"timeout"', "10:11"],
      ["exporters::debug::verbosity", "", "12:22"],
      ["service::pipelines::metrics::processors[1]", "bach", "17:27"],
    ] as const) {
      const line = output.split("\n").find((one) => one.startsWith(`${path}:`)) ?? output;
      expect(line).toContain(`(bad.yaml:${place})`);
      expect(line).toContain(message);
    }
    expect(output.trimEnd().split("\n")).toHaveLength(1 + 6);
  });

  it("hides no fault behind another of the same section", async () => {
    using folder = createTempFolder("faults");
    folder.write("bad.yaml", readFileSync(new URL("faults-together.yaml", import.meta.url), "utf8"));
    const { code, output } = await run(folder.path, "validate", "--config", "bad.yaml");
    expect(code).toBe(1);
    const lines = output.trimEnd().split("\n").slice(1);
    expect(lines.map((line) => /^(.*?): .*\(bad\.yaml:(\d+):\d+\)$/.exec(line)?.slice(1).join(" ") ?? line)).toEqual([
      "receivers::prometheus::trim_metric_sufixes 3",
      "receivers::prometheus::config::scrape_configs[0]::scrape_intervall 7",
      "receivers::prometheus::config::scrape_configs 9",
      "receivers::prometheus::config::scrape_configs[1]::scrape_interval 10",
      "processors::batch::timeout 13",
      "processors::batch::send_batch_max_size 15",
      "processors::batch::sendbatch 16",
      "processors::memory_limiter::check_interval 18",
      "processors::memory_limiter::spike_limit_mib 20",
      "processors::attributes::actions[0]::value 23",
      "processors::attributes::actions[1]::from_attribute 24",
      "processors::attributes::actions[1]::wrong 24",
      "exporters::prometheus_remote_write::endpoint 27",
      "exporters::prometheus_remote_write::timeout 28",
      "exporters::otlp_grpc::endpoint 30",
      "exporters::otlp_grpc::compression 31",
      "exporters::otlp_grpc::sending_queue::num_consumers 32",
      "exporters::otlp_grpc::sending_queue::batch::min_size 32",
      "exporters::otlp_grpc::sending_queue::batch::max_size 32",
      "service::pipelines::metrics::processors[3] 37",
    ]);
  });

  it("merges files in order and sets keys over them", async () => {
    using folder = createTempFolder("merge");
    await using sink = await RecordingSink.start();
    await using exporter = await PageExporter.start(1000);
    exporter.add("metrics", () => ({ body: "merged 1\n" }));
    const jobs = [{ job_name: "a", static_configs: [{ targets: [exporter.address] }] }];
    const endpoint = (path: string) => ({ prometheus_remote_write: { endpoint: sink.url(path) } });
    folder.write("one.yaml", runConfig({ global: { scrape_interval: "1m" }, jobs, exporters: endpoint("/one") }));
    folder.write("two.yaml", stringify({ exporters: endpoint("/two") }));
    await using _run = await startMillraceRun(
      folder.file("one.yaml"),
      ...["--config", folder.file("two.yaml")],
      ...["--config", "yaml:exporters::prometheus_remote_write::external_labels: {from: text}"],
      ...["--set", "receivers.prometheus.config.global.scrape_interval=200ms"],
      ...["--set", "receivers.prometheus.config.global.scrape_timeout=200ms"],
    );
    await sink.path("/two").waitForSample({ __name__: "merged", from: "text" });
    expect(sink.path("/one").requests).toEqual([]);
  });

  it("keeps compiled code in a cache folder that is the user's alone, and in no other", async () => {
    using folder = createTempFolder("command");
    const cacheOf = async (name: string, prepare?: (cache: string) => void) => {
      const base = folder.file(name);
      mkdirSync(base);
      const cache = join(base, "millrace");
      prepare?.(cache);
      await using process = new TestProcess({
        ...millrace("millrace", "components"),
        env: { XDG_CACHE_HOME: base, NODE_OPTIONS: "" },
      });
      expect(await process.ended).toEqual({ code: 0, signal: null });
      return { kept: readdirSync(cache).length, mode: statSync(cache).mode & 0o777 };
    };
    expect(await cacheOf("fresh")).toEqual({ kept: 1, mode: 0o700 });
    const open = (cache: string) => {
      mkdirSync(cache);
      chmodSync(cache, 0o777);
    };
    expect(await cacheOf("open", open)).toEqual({ kept: 0, mode: 0o777 });
    mkdirSync(folder.file("elsewhere"), { mode: 0o700 });
    const link = (cache: string) => symlinkSync(folder.file("elsewhere"), cache);
    expect(await cacheOf("linked", link)).toMatchObject({ kept: 0 });
  });

  it("tells how soon targets are scheduled and what an idle process holds", async () => {
    using folder = createTempFolder("start");
    const jobs = Array.from({ length: 100 }, (_, i) => ({
      job_name: `job_${i}`,
      static_configs: [{ targets: [`127.0.0.1:${i + 1}`] }],
    }));
    const config = { global: { scrape_interval: "1h" }, scrape_configs: jobs };
    const agentFile = folder.write("prometheus.yml", stringify(config));
    const runFile = folder.write(
      "config.yaml",
      runConfig({
        global: config.global,
        jobs,
        exporters: { prometheus_remote_write: { endpoint: "http://127.0.0.1:1" } },
      }),
    );
    const agentStart = performance.now();
    await using agent = await startMillraceAgent(folder, agentFile);
    const agentMs = performance.now() - agentStart;
    const runStart = performance.now();
    await using collector = await startMillraceRun(runFile);
    const runMs = performance.now() - runStart;
    for (const [name, ms, process] of [
      ["agent", agentMs, agent.process],
      ["run", runMs, collector],
    ] as const) {
      const megabytes = (process.residentBytes() / 2 ** 20).toFixed(0);
      const told = `millrace ${name}: 100 targets scheduled ${ms.toFixed(0)} ms after exec, ${megabytes} MiB idle`;
      console.log(told);
      // How fast a machine is says little about the code: only what no machine explains is a fault.
      expect(ms, told).toBeLessThan(longestStartMs);
      expect(process.isRunning).toBe(true);
    }
  });

  it.skipIf(!existsSync(childrenFile(process.pid)))(
    "ends when its launcher is killed, where that could not make way for it",
    async () => {
      using folder = createTempFolder("launcher");
      const { file, args } = millrace("millrace run", "run", "--config", folder.write("config.yaml", good));
      // As on Node 20, which has no execve.
      const old = ["--import", "data:text/javascript,process.execve=undefined"];
      const command = { title: "millrace run", file, args: [...old, ...args] };
      const { process: launcher } = await startProcess(command, /Everything is ready/);
      await using _launcher = launcher;
      const child = readFileSync(childrenFile(launcher.pid), "utf8").trim();
      expect(readFileSync(`/proc/${child}/cmdline`, "utf8")).toContain("config.yaml");
      process.kill(launcher.pid, "SIGKILL");
      await expect.poll(() => existsSync(`/proc/${child}`), { timeout: 20_000 }).toBe(false);
    },
  );

  it.skipIf(!existsSync("/proc/self/environ"))(
    "gives large buffers back to the system, unless the environment says otherwise",
    async () => {
      using folder = createTempFolder("allocation");
      const agentFile = folder.write("prometheus.yml", stringify({ scrape_configs: [] }));
      const ofProcess = ({ pid }: TestProcess) =>
        readFileSync(`/proc/${pid}/environ`, "utf8")
          .split("\0")
          .filter((one) => one.startsWith("MALLOC_"))
          .sort();
      await using agent = await startMillraceAgent(folder, agentFile);
      expect(ofProcess(agent.process)).toEqual(["MALLOC_ARENA_MAX=2", "MALLOC_MMAP_THRESHOLD_=262144"]);
      const command = millrace("millrace run", "run", "--config", folder.write("config.yaml", good));
      const env = { MALLOC_MMAP_THRESHOLD_: "8388608", MALLOC_TRIM_THRESHOLD_: "16777216" };
      const { process: collector } = await startProcess({ ...command, env }, /Everything is ready/);
      await using _collector = collector;
      expect(ofProcess(collector)).toEqual([
        "MALLOC_ARENA_MAX=2",
        "MALLOC_MMAP_THRESHOLD_=8388608",
        "MALLOC_TRIM_THRESHOLD_=16777216",
      ]);
    },
  );
});
