import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));
let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "millrace-cli-"));
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
  write("good.yaml", config("processors: {batch: {}}", "batch", ""));
  write("bad.yaml", config("processors: {batch: {timeoutt: 1s}}", "batch", ""));
  write(
    "secret.yaml",
    "exporters: {x: {headers: {Authorization: hush}, password: hush, endpoint: 'http://u:hush@h/'}}\n",
  );
  write("outside.yaml", config("processors: {mine: {}}", "mine", "components: [./mine.ts]"));
  write(
    "mine.ts",
    `import { defineProcessor, mapSeries, z } from "millrace/component";
export default defineProcessor({
  type: "mine", stability: { metrics: "alpha" }, config: z.strictObject({}),
  create: () => ({ metrics: mapSeries((series) => series) }),
});
`,
  );
  write("hanging.yaml", config("processors: {hanging: {}}", "hanging", "components: [./hanging.mjs]"));
  write(
    "hanging.mjs",
    `import { defineProcessor, z } from "millrace/component";
export default defineProcessor({
  type: "hanging", stability: { metrics: "alpha" }, config: z.strictObject({}),
  create: () => ({ metrics: (batch, next) => next.metrics(batch), shutdown: () => new Promise(() => {}) }),
});
`,
  );
  write("prometheus.yml", "scrape_configs: [{job_name: a}]\n");
  write("bad-prometheus.yml", "scrape_configs: [{job_nam: a}]\n");
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function config(processors: string, used: string, components: string): string {
  return `
receivers: {prometheus: {config: {scrape_configs: [{job_name: j, static_configs: []}]}}}
${processors}
exporters: {debug: {}}
service:
  ${components}
  telemetry: {metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: 0}}}}]}}
  pipelines: {metrics: {receivers: [prometheus], processors: [${used}], exporters: [debug]}}
`;
}

function run(args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { cwd: folder, encoding: "utf8" });
  return { status, stdout, stderr };
}

describe("exit codes", () => {
  test.each([
    { args: ["--version"], status: 0, stdout: /^millrace \d+\.\d+\.\d+\n$/ },
    { args: ["--help"], status: 0, stdout: /Usage: millrace/ },
    {
      args: ["components"],
      status: 0,
      stdout: /- name: prometheus_remote_write\n {6}aliases: \[prometheusremotewrite\]/,
    },
    { args: ["validate", "--config", "good.yaml"], status: 0, stdout: /^$/ },
    { args: ["validate", "--config=file:good.yaml"], status: 0, stdout: /^$/ },
    { args: ["validate", "--config", "outside.yaml"], status: 0, stdout: /^$/ },
    { args: ["validate", "--config.file", "prometheus.yml"], status: 0, stdout: /^$/ },
    { args: ["print-config", "--config", "good.yaml"], status: 0, stdout: /job_name: j/ },
    {
      args: ["validate", "--config", "bad.yaml"],
      status: 1,
      stderr: /timeoutt: unknown key, did you mean "timeout"\? \(bad/,
    },
    {
      args: ["validate", "--config", "none.yaml"],
      status: 1,
      stderr: /cannot read the file "none.yaml": no such file/,
    },
    { args: ["validate", "--config.file", "bad-prometheus.yml"], status: 1, stderr: /job_nam/ },
    {
      args: ["validate", "--config", "good.yaml", "--set", "processors.batch.timeout=x"],
      status: 1,
      stderr: /--set processors.batch.timeout:1:1/,
    },
    { args: ["--config", "bad.yaml"], status: 1, stderr: /invalid configuration/ },
    { args: ["run", "--config", "bad.yaml"], status: 1, stderr: /invalid configuration/ },
    { args: [], status: 2, stderr: /--config is missing/ },
    { args: ["run"], status: 2, stderr: /--config is missing/ },
    { args: ["frobnicate"], status: 2, stderr: /unknown command 'frobnicate'/ },
    { args: ["good.yaml"], status: 2, stderr: /unexpected argument 'good.yaml': a file is named with --config\n/ },
    { args: ["run", "good.yaml"], status: 2, stderr: /unexpected argument 'good.yaml'/ },
    { args: ["validate", "good.yaml"], status: 2, stderr: /with --config for a collector, --config.file for an agent/ },
    { args: ["agent", "prometheus.yml"], status: 2, stderr: /a file is named with --config.file\n/ },
    { args: ["agent", "--web.enable-otlp-receiver"], status: 2, stderr: /OTLP is received by millrace run/ },
    { args: ["validate", "--config", "prometheus.yml"], status: 1, stderr: /looks like a prometheus.yml/ },
    { args: ["validate", "--config.file", "good.yaml"], status: 1, stderr: /looks like a collector's/ },
    {
      args: ["agent", "--no-auto-gomemlimit", "--config.auto-reload", "--config.file=none.yml"],
      status: 1,
      stderr: /flag=--config.auto-reload\n.*flag=--auto-gomemlimit\n.*\n--config.file: cannot read the file "none.yml"/,
    },
    { args: ["run", "--config", "good.yaml", "--nope"], status: 2, stderr: /unknown option '--nope'/ },
    { args: ["--config", "good.yaml", "--shutdown-timeout", "x"], status: 2, stderr: /expected a duration/ },
    {
      args: ["queue", "replay", ".", "--to", "ftp://u:hush@h"],
      status: 2,
      stderr: /--to: expected an http or https URL\n/,
    },
    {
      args: ["queue", "replay", ".", "--to", "http://h", "--header", "hush"],
      status: 2,
      stderr: /expected "Name: value"\n/,
    },
    { args: ["queue", "replay", ".", "--to", "http://h"], status: 1, stderr: /has no queue/ },
    { args: ["validate"], status: 2, stderr: /expected --config FILE/ },
  ])("$args: $status", ({ args, status, stdout = /^/, stderr = /^/ }) => {
    const result = run(args);
    expect(result).toEqual({
      status,
      stdout: expect.stringMatching(stdout),
      stderr: expect.stringMatching(stderr),
    });
  });

  test("print-config shows no secret", () => {
    const { stdout } = run(["print-config", "--config", "secret.yaml"]);
    expect(stdout).toContain("http://[REDACTED]@h/");
    expect(stdout).not.toContain("hush");
  });
});

test("a port that is taken is told as such", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const result = run(["agent", "--config.file=prometheus.yml", `--web.listen-address=${address}`]);
  server.close();
  expect(result).toMatchObject({
    status: 1,
    stderr:
      `Error: cannot start:\n--web.listen-address: cannot listen on ${address}: ` +
      "address already in use (EADDRINUSE)\n",
  });
});

describe("signals", () => {
  /** Starts `millrace run` and resolves when it is ready. */
  async function started(args: readonly string[] = [], file = "good.yaml") {
    const config = join(folder, file);
    const child = spawn(process.execPath, [main, "--config", config, ...args], { stdio: ["ignore", "ignore", "pipe"] });
    const lines: string[] = [];
    const waiting: { pattern: string; resolve: () => void }[] = [];
    createInterface({ input: child.stderr }).on("line", (line) => {
      lines.push(line);
      for (const one of waiting) if (line.includes(one.pattern)) one.resolve();
    });
    const exit = new Promise<number | null>((resolve) => child.on("exit", (code) => resolve(code)));
    const logged = (pattern: string) =>
      new Promise<void>((resolve, reject) => {
        waiting.push({ pattern, resolve });
        if (lines.some((line) => line.includes(pattern))) resolve();
        exit.then((code) => reject(new Error(`ended with ${code}: ${lines.join("\n")}`)));
      });
    await logged("Everything is ready");
    return { child, exit, logged };
  }

  test.each(["SIGINT", "SIGTERM"] as const)("%s ends it with code 0", async (signal) => {
    const { child, exit } = await started();
    child.kill(signal);
    expect(await exit).toBe(0);
  });

  test("a second signal ends it at once with code 1, whatever hangs", async () => {
    const { child, exit, logged } = await started(["--shutdown-timeout", "10m"], "hanging.yaml");
    child.kill("SIGTERM");
    await logged("Starting shutdown");
    // Sent again until it ends: one that follows at once is taken for the same signal.
    const again = setInterval(() => child.kill("SIGINT"), 50);
    expect(await exit.finally(() => clearInterval(again))).toBe(1);
  });

  test("what hangs is left behind after the shutdown timeout", async () => {
    const { child, exit } = await started(["--shutdown-timeout", "10ms"], "hanging.yaml");
    child.kill("SIGTERM");
    expect(await exit).toBe(0);
  });

  test("SIGHUP reloads it", async () => {
    const { child, exit, logged } = await started(["--feature-gates", "+x"]);
    child.kill("SIGHUP");
    await logged("Configuration reloaded");
    child.kill("SIGTERM");
    expect(await exit).toBe(0);
  });
});
