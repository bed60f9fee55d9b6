/** `npm run demo`: a sample application, and Millrace that scrapes it and shows its samples. Ctrl-C ends both. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

async function freePort() {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

// Each in a process group of its own, so that Ctrl-C reaches them once and through here.
const app = spawn(process.execPath, [join(root, "scripts/sample-app.mjs")], {
  stdio: ["ignore", "pipe", "inherit"],
  detached: true,
});
const [port] = await once(createInterface({ input: app.stdout }), "line");
const metricsPort = await freePort();
console.log(`The sample application serves http://127.0.0.1:${port}/metrics, Millrace scrapes it every 3 s.`);
console.log(`Millrace's own metrics: http://127.0.0.1:${metricsPort}/metrics. Ctrl-C ends both.\n`);

const millrace = spawn(
  process.execPath,
  [join(root, "bin/millrace.mjs"), "run", "--config", join(root, "examples/demo.yaml")],
  {
    stdio: ["ignore", "inherit", "inherit"],
    detached: true,
    env: { ...process.env, DEMO_APP_PORT: port, DEMO_METRICS_PORT: String(metricsPort) },
  },
);

const stop = () => millrace.kill("SIGTERM");
process.on("SIGINT", stop);
process.on("SIGTERM", stop);
process.on("SIGHUP", stop);
millrace.on("exit", (code) => {
  app.kill("SIGTERM");
  process.exitCode = code ?? 1;
});
