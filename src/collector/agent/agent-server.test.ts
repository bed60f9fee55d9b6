/** The agent's HTTP side: every route in every state, and the address it listens on. */

import { describe, expect, onTestFinished, test, vi } from "vitest";
import { MetricRegistry } from "../../component/metric-registry.ts";
import { ConfigError } from "../../model/errors.ts";
import { productVersion } from "../version.ts";
import type { Agent } from "./agent.ts";
import { AgentServer, splitAddress } from "./agent-server.ts";

type Families = Readonly<Record<string, { readonly type: string; readonly help: string; readonly unit: string }>>;

interface FakeAgent {
  state: Agent["state"];
  enableLifecycle: boolean;
  listenAddress: string;
  reloads: number;
  reloadSucceeds: boolean;
  /** What each target of the one job declares. */
  families: readonly Families[];
}

/** A server for an agent that only has what the server asks of it. */
async function startServer(given: Partial<FakeAgent> = {}) {
  const agent: FakeAgent = {
    state: "ready",
    enableLifecycle: false,
    listenAddress: "127.0.0.1:0",
    reloads: 0,
    reloadSucceeds: true,
    families: [],
    ...given,
  };
  const registry = new MetricRegistry();
  registry.counter("requests_total", { help: "Requests." }).with({ code: "200" }).add(3);
  const server = new AgentServer({
    registry,
    options: agent,
    get state() {
      return agent.state;
    },
    get scrapes() {
      const loops = agent.families.map((families) => ({
        page: { metadata: { declared: () => Object.entries(families) } },
      }));
      return { pools: [{ jobName: "a", loops, dropped: [], droppedCount: 0 }] };
    },
    startedMs: 1_700_000_000_000,
    lastReloadMs: 1_700_000_001_000,
    reloadSuccessful: true,
    configText: "scrape_configs: [{bearer_token: hush}]",
    async reload() {
      agent.reloads++;
      return agent.reloadSucceeds;
    },
  } as unknown as Agent);
  await server.start();
  onTestFinished(() => server.close());
  const ask = async (path: string, method = "GET") => {
    const response = await fetch(`${server.url}${path}`, { method, redirect: "manual" });
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  const data = async (path: string) => JSON.parse((await ask(path)).text).data;
  return { agent, server, ask, data };
}

describe("splitAddress", () => {
  test.each([
    ["0.0.0.0:9090", "0.0.0.0", 9090],
    ["localhost:0", "localhost", 0],
    [":9090", "", 9090],
    ["[::1]:65535", "::1", 65535],
    ["[]:80", "", 80],
  ])("takes %j", (address, host, port) => {
    expect(splitAddress(address)).toEqual({ host, port });
  });

  test.each(["", "9090", "host", "host:", "host:x", "host:65536", "host:-1", "::1:80", "a:b:80", "[::1]", "host:80 "])(
    "refuses %j",
    (address) => {
      expect(() => splitAddress(address)).toThrow(ConfigError);
    },
  );
});

describe("AgentServer", () => {
  test("names the flag when the address is taken", async () => {
    const { server } = await startServer();
    const second = startServer({ listenAddress: server.url.replace("http://", "") });
    await expect(second).rejects.toThrow(/--web\.listen-address.*cannot listen on 127\.0\.0\.1:\d+/);
  });

  test.each([
    ["/-/healthy", 200, "Prometheus Agent is Healthy.\n"],
    ["/-/ready", 200, "Prometheus Agent is Ready.\n"],
    ["/version", 200, JSON.stringify({ version: productVersion(), product: "millrace" })],
    ["/api/v1/scrape_pools", 200, '{"status":"success","data":{"scrapePools":["a"]}}'],
    ["/nowhere", 404, "not found\n"],
  ])("answers %s with %i", async (path, status, text) => {
    const { ask } = await startServer();
    expect(await ask(path)).toMatchObject({ status, text });
    expect(await ask(path, "HEAD")).toMatchObject({ status, text: "" });
  });

  test("leads from / to the targets", async () => {
    const { ask } = await startServer();
    const { status, headers } = await ask("/");
    expect([status, headers.get("location")]).toEqual([302, "/api/v1/targets"]);
  });

  test("shows the configuration without its secrets", async () => {
    const { data } = await startServer();
    expect(await data("/api/v1/status/config")).toEqual({ yaml: "scrape_configs:\n  - bearer_token: <secret>\n" });
  });

  test("shows its own metrics", async () => {
    const { ask } = await startServer();
    const { text, headers } = await ask("/metrics");
    expect(text).toContain('requests_total{code="200"} 3\n');
    expect(headers.get("content-type")).toMatch(/^text\/plain/);
  });

  test("tells what it is and how its last reload went", async () => {
    const { data } = await startServer();
    expect(await data("/api/v1/status/buildinfo")).toMatchObject({ version: productVersion() });
    expect(await data("/api/v1/status/runtimeinfo")).toMatchObject({
      startTime: "2023-11-14T22:13:20.000Z",
      lastConfigTime: "2023-11-14T22:13:21.000Z",
      reloadConfigSuccess: true,
    });
  });

  test("lists the metadata of all targets once, and of one metric where asked", async () => {
    const a = { type: "counter", help: "A <b>.", unit: "" };
    const other = { type: "gauge", help: "", unit: "s" };
    const { ask, data } = await startServer({
      families: [{ a_total: a }, { a_total: a, b: other }, { a_total: other }],
    });
    expect(await data("/api/v1/metadata")).toEqual({ a_total: [a, other], b: [other] });
    expect(await data("/api/v1/metadata?metric=b")).toEqual({ b: [other] });
    expect(await data("/api/v1/metadata?metric=none")).toEqual({});
    expect((await ask("/api/v1/metadata")).text).toContain("A \\u003cb\\u003e.");
  });

  test.each(["__proto__", "constructor"])("lists a metric of the name %s", async (name) => {
    const family = { type: "gauge", help: "", unit: "" };
    const { ask } = await startServer({ families: [Object.fromEntries([[name, family]])] });
    expect((await ask("/api/v1/metadata")).text).toBe(
      `{"status":"success","data":{"${name}":[${JSON.stringify(family)}]}}`,
    );
  });

  test.each([
    ["GET", "query?query=up"],
    ["POST", "query"],
    ["POST", "query_range"],
    ["GET", "labels"],
    ["GET", "label/job/values"],
    ["GET", "rules"],
    ["GET", "alerts"],
    ["GET", "status/tsdb"],
  ])("says of %s %s that an agent has it not", async (method, path) => {
    const { ask } = await startServer();
    const { status, text } = await ask(`/api/v1/${path}`, method);
    expect([status, JSON.parse(text)]).toEqual([
      422,
      { status: "error", errorType: "execution", error: "unavailable with Prometheus Agent" },
    ]);
  });

  test.each([
    ["POST", "/api/v1/targets", "GET, HEAD"],
    ["DELETE", "/-/ready", "GET, HEAD"],
    ["GET", "/-/reload", "POST, PUT"],
    ["GET", "/-/quit", "POST, PUT"],
  ])("refuses %s %s and names what is allowed", async (method, path, allowed) => {
    const { ask, agent } = await startServer({ enableLifecycle: true });
    const { status, headers } = await ask(path, method);
    expect([status, headers.get("allow"), agent.reloads]).toEqual([405, allowed, 0]);
  });

  test.each([
    ["starting", "false"],
    ["stopping", "true"],
  ] as const)("while %s is healthy, but neither ready nor asked for targets", async (state, stopping) => {
    const { ask } = await startServer({ state });
    for (const path of ["/-/ready", "/api/v1/targets", "/api/v1/metadata", "/api/v1/status/buildinfo"]) {
      const { status, headers, text } = await ask(path);
      expect([status, headers.get("x-prometheus-stopping"), text]).toEqual([503, stopping, "Service Unavailable"]);
    }
    for (const path of ["/-/healthy", "/metrics"]) expect((await ask(path)).status).toBe(200);
  });

  test.each(["POST", "PUT"])("reloads on %s, where the lifecycle API is enabled", async (method) => {
    const { ask, agent } = await startServer();
    for (const path of ["/-/reload", "/-/quit"]) {
      expect(await ask(path, method)).toMatchObject({ status: 403, text: "Lifecycle API is not enabled." });
    }
    expect(agent.reloads).toBe(0);
    agent.enableLifecycle = true;
    expect(await ask("/-/reload", method)).toMatchObject({ status: 200, text: "" });
    agent.reloadSucceeds = false;
    expect(await ask("/-/reload", method)).toMatchObject({
      status: 500,
      text: expect.stringMatching(/failed to reload/),
    });
    expect(agent.reloads).toBe(2);
  });

  test("ends the process by its signal on quit", async () => {
    const kill = vi.spyOn(process, "kill").mockReturnValue(true);
    onTestFinished(() => kill.mockRestore());
    const { ask } = await startServer({ enableLifecycle: true });
    expect((await ask("/-/quit", "POST")).status).toBe(200);
    expect(kill.mock.calls).toEqual([[process.pid, "SIGTERM"]]);
  });
});
