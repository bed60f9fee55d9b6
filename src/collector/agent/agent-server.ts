/** The agent's HTTP side: health, readiness, targets, configuration, own metrics, lifecycle. */

import type { IncomingMessage, ServerResponse } from "node:http";
import { ConfigError, toError } from "../../model/errors.ts";
import { createRouter } from "../../transport/http-router.ts";
import { type RunningHttpServer, startHttpServer } from "../../transport/http-server.ts";
import { serveMetrics } from "../self-metrics.ts";
import { productVersion } from "../version.ts";
import type { Agent } from "./agent.ts";
import { shownConfig } from "./shown-config.ts";
import { targetsJson } from "./targets-json.ts";

/** What a server of a whole Prometheus offers and an agent does not; the first ones are asked by POST too. */
const unavailableQueries = ["query", "query_range", "query_exemplars", "labels", "series"];
const unavailable = [...unavailableQueries, "label/*", "alertmanagers", "alerts", "rules", "status/tsdb"];

export class AgentServer {
  readonly #agent: Agent;
  #server: RunningHttpServer | undefined;

  constructor(agent: Agent) {
    this.#agent = agent;
  }

  get url(): string {
    return this.#server?.url ?? "";
  }

  /** Throws ConfigError when the address cannot be had. */
  async start(): Promise<void> {
    const address = this.#agent.options.listenAddress;
    const { host, port } = splitAddress(address);
    try {
      this.#server = await startHttpServer({ host, port, handler: this.#router() });
    } catch (caught) {
      throw new ConfigError([{ path: "--web.listen-address", message: `cannot ${toError(caught).message}` }], {
        cause: caught,
      });
    }
  }

  async close(): Promise<void> {
    await this.#server?.close(1000);
  }

  #router() {
    const agent = this.#agent;
    const router = createRouter();
    const whenRunning = (handler: (request: IncomingMessage, response: ServerResponse) => void | Promise<void>) => {
      return async (request: IncomingMessage, response: ServerResponse) => {
        if (agent.state === "ready") return await handler(request, response);
        response.setHeader("X-Prometheus-Stopping", String(agent.state === "stopping"));
        sendText(response, 503, "Service Unavailable");
      };
    };
    router.on("GET", "/-/healthy", (_, response) => sendText(response, 200, "Prometheus Agent is Healthy.\n"));
    router.on(
      "GET",
      "/-/ready",
      whenRunning((_, response) => sendText(response, 200, "Prometheus Agent is Ready.\n")),
    );
    router.on("GET", "/metrics", (request, response) =>
      serveMetrics(agent.registry, "detailed", {}, request, response),
    );
    router.on("GET", "/version", (_, response) =>
      sendJson(response, 200, { version: productVersion(), product: "millrace" }),
    );
    router.on("GET", "/", (_, response) => {
      response.writeHead(302, { Location: "/api/v1/targets" }).end();
    });
    router.on(
      "GET",
      "/api/v1/targets",
      whenRunning((request, response) => sendData(response, targetsJson(agent, queryOf(request)))),
    );
    router.on(
      "GET",
      "/api/v1/scrape_pools",
      whenRunning((_, response) =>
        sendData(response, { scrapePools: agent.scrapes.pools.map((pool) => pool.jobName) }),
      ),
    );
    router.on(
      "GET",
      "/api/v1/metadata",
      whenRunning((request, response) => sendData(response, metadata(agent, queryOf(request)))),
    );
    router.on(
      "GET",
      "/api/v1/status/buildinfo",
      whenRunning((_, response) =>
        sendData(response, {
          version: productVersion(),
          revision: "",
          branch: "",
          buildUser: "",
          buildDate: "",
          goVersion: "",
        }),
      ),
    );
    router.on(
      "GET",
      "/api/v1/status/config",
      whenRunning((_, response) => sendData(response, { yaml: shownConfig(agent.configText) })),
    );
    router.on(
      "GET",
      "/api/v1/status/runtimeinfo",
      whenRunning((_, response) => sendData(response, runtimeInfo(agent))),
    );
    for (const name of unavailable) router.on("GET", `/api/v1/${name}`, sendUnavailable);
    for (const name of unavailableQueries) router.on("POST", `/api/v1/${name}`, sendUnavailable);
    for (const method of ["POST", "PUT"] as const) {
      router.on(method, "/-/reload", (_, response) => this.#reload(response));
      router.on(method, "/-/quit", (_, response) => this.#quit(response));
    }
    return router.handler;
  }

  async #reload(response: ServerResponse): Promise<void> {
    if (!this.#agent.options.enableLifecycle) return sendText(response, 403, "Lifecycle API is not enabled.");
    if (await this.#agent.reload()) sendText(response, 200, "");
    else sendText(response, 500, "failed to reload config: see the log");
  }

  #quit(response: ServerResponse): void {
    if (!this.#agent.options.enableLifecycle) {
      sendText(response, 403, "Lifecycle API is not enabled.");
      return;
    }
    sendText(response, 200, "Requesting termination... Goodbye!");
    process.kill(process.pid, "SIGTERM");
  }
}

function queryOf(request: IncomingMessage): URLSearchParams {
  return new URL(request.url ?? "/", "http://localhost").searchParams;
}

function metadata(
  agent: Agent,
  query: URLSearchParams,
): Record<string, { type: string; help: string; unit: string }[]> {
  const wanted = query.get("metric");
  const families = new Map<string, Map<string, { type: string; help: string; unit: string }>>();
  for (const pool of agent.scrapes.pools) {
    for (const loop of pool.loops) {
      for (const [name, { type, help, unit }] of loop.page.metadata.declared()) {
        if (wanted !== null && wanted !== name) continue;
        const known = families.get(name) ?? new Map();
        known.set(JSON.stringify([type, help, unit]), { type, help, unit });
        families.set(name, known);
      }
    }
  }
  return Object.fromEntries([...families].map(([name, entries]) => [name, [...entries.values()]]));
}

function runtimeInfo(agent: Agent) {
  return {
    startTime: new Date(agent.startedMs).toISOString(),
    CWD: process.cwd(),
    serverTime: new Date().toISOString(),
    reloadConfigSuccess: agent.reloadSuccessful,
    lastConfigTime: new Date(agent.lastReloadMs).toISOString(),
    corruptionCount: 0,
    goroutineCount: 0,
    GOMAXPROCS: 1,
    GOMEMLIMIT: 0,
    GOGC: "",
    GODEBUG: "",
    storageRetention: "",
  };
}

function sendText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8" }).end(text);
}

function sendData(response: ServerResponse, data: unknown): void {
  sendJson(response, 200, { status: "success", data });
}

function sendUnavailable(_: IncomingMessage, response: ServerResponse): void {
  sendJson(response, 422, { status: "error", errorType: "execution", error: "unavailable with Prometheus Agent" });
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body).replaceAll("<", "\\u003c").replaceAll(">", "\\u003e");
  response.writeHead(status, { "Content-Type": "application/json" }).end(text);
}

/** `host:port`, `:port` and `[::1]:port`. Throws ConfigError for anything else. */
export function splitAddress(address: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3]);
  if (match === null || port > 65535) {
    throw new ConfigError([
      { path: "--web.listen-address", message: `expected "host:port", got ${JSON.stringify(address)}` },
    ]);
  }
  return { host: match[1] ?? match[2] ?? "", port };
}
