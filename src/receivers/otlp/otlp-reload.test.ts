import { Agent, request } from "node:http";
import { buffer } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import { bytesOf, services, setUpOtlp } from "../../../test/support/otlp-receiver-kit.ts";
import type { GrpcServerConfig } from "../../component/grpc-server-config.ts";
import { parseConfig } from "../../testing/test-context.ts";
import { createGrpcClient } from "../../transport/grpc-client.ts";
import type { OtlpReceiverConfig } from "./config.ts";
import otlp from "./otlp.ts";

const localhost = { endpoint: "127.0.0.1:0" };

function sectionOf(http: object | undefined, grpc: object | undefined, limits: object = {}): OtlpReceiverConfig {
  const protocols = {
    ...(http === undefined ? {} : { http: { ...localhost, ...http } }),
    ...(grpc === undefined ? {} : { grpc: { ...localhost, ...grpc } }),
  };
  return parseConfig(otlp, { protocols, limits }) as OtlpReceiverConfig;
}

/** A client that keeps one connection, and says by which port of its own it came. */
function createKeptClient(port: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => agent.destroy());
  return (path = "/v1/logs") =>
    new Promise<{ status: number | undefined; from: number | undefined }>((resolve, reject) => {
      const headers = { "content-type": "application/x-protobuf", "x-tenant": "a" };
      const outgoing = request({ port, host: "127.0.0.1", agent, method: "POST", path, headers }, (response) => {
        const from = outgoing.socket?.localPort;
        buffer(response).then(() => resolve({ status: response.statusCode, from }), reject);
      });
      outgoing.on("error", reject);
      outgoing.end(bytesOf("logs"));
    });
}

/** What each protocol listens on now, by what was logged last. */
function portsOf(log: { readonly entries: readonly { readonly fields: object }[] }) {
  const ports: Record<string, number> = {};
  for (const { fields } of log.entries) {
    if ("protocol" in fields && "port" in fields) ports[String(fields.protocol)] = Number(fields.port);
  }
  return ports;
}

describe("a reload", () => {
  test("of an equal section disturbs nothing", async () => {
    const { receiver, httpPort, call, log } = await setUpOtlp();
    const post = createKeptClient(httpPort);
    const before = await post();
    await receiver.reconfigure?.(sectionOf({}, {}) as never);
    expect(await post()).toEqual(before);
    expect((await call("logs", bytesOf("logs"))).code).toBe(0);
    expect(log.entries).toHaveLength(2);
  });

  test("changes what is no matter of the server on connections that stay", async () => {
    const { receiver, httpPort, call, sink, log } = await setUpOtlp({ http: { max_request_body_size: 1 } });
    const post = createKeptClient(httpPort);
    expect((await post()).status).toBe(413);
    const next = createKeptClient(httpPort);
    const { from } = await next();
    const http = { include_metadata: true, logs_url_path: "/other" };
    await receiver.reconfigure?.(sectionOf(http, { include_metadata: true }) as never);
    expect(await next("/other")).toEqual({ status: 200, from });
    expect((await next()).status).toBe(404);
    await call("logs", bytesOf("logs"), { headers: { "x-tenant": "a" } });
    expect(sink.taken.map(({ client }) => client?.metadata("x-tenant"))).toEqual([["a"], ["a"]]);
    expect(log.entries).toHaveLength(2);
  });

  test("restarts one server and leaves the other alone", async () => {
    const { receiver, httpPort, log } = await setUpOtlp();
    const post = createKeptClient(httpPort);
    const before = await post();
    await receiver.reconfigure?.(sectionOf({}, { max_recv_msg_size_mib: 1 }) as never);
    expect(await post()).toEqual(before);
    const client = createGrpcClient({ target: `127.0.0.1:${portsOf(log)["grpc"]}`, userAgent: "test" });
    onTestFinished(() => client.destroy());
    expect(await client.call({ path: services.logs, message: Buffer.alloc(1024 * 1024 + 1) })).toMatchObject({
      code: 8,
    });
  });

  test("takes the same port again while a request of the old server is under way", async () => {
    const { receiver, grpcPort, log, sink } = await setUpOtlp();
    const [began, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const take = sink.logs;
    sink.logs = async (batch) => {
      began.resolve();
      await held.promise;
      await take(batch);
    };
    const client = createGrpcClient({ target: `127.0.0.1:${grpcPort}`, userAgent: "test" });
    onTestFinished(() => client.destroy());
    const call = { path: services.logs, message: bytesOf("logs") };
    const underWay = client.call(call);
    await began.promise;
    const grpc: Partial<GrpcServerConfig> = { endpoint: `127.0.0.1:${grpcPort}`, max_recv_msg_size_mib: 1 };
    await receiver.reconfigure?.(sectionOf({}, grpc) as never);
    expect(portsOf(log)["grpc"]).toBe(grpcPort);
    held.resolve();
    expect((await underWay).code).toBe(0);
    expect((await client.call(call)).code).toBe(0);
  });

  test("adds and removes protocols", async () => {
    const { receiver, call, log, counted } = await setUpOtlp();
    await receiver.reconfigure?.(sectionOf(undefined, {}) as never);
    expect((await call("logs", bytesOf("logs"))).code).toBe(0);
    await receiver.reconfigure?.(sectionOf({}, undefined) as never);
    const post = createKeptClient(Number(portsOf(log)["http"]));
    expect((await post()).status).toBe(200);
    expect((await call("logs", bytesOf("logs"))).code).toBe(14);
    expect(counted()).toEqual({ "accepted_log_records grpc": 1, "accepted_log_records http": 1 });
  });

  test("that cannot listen is refused, and the old section may be brought back", async () => {
    const [first, other] = [await setUpOtlp(), await setUpOtlp()];
    const endpoint = `127.0.0.1:${other.httpPort}`;
    const taken = first.receiver.reconfigure?.(sectionOf({ endpoint }, {}) as never);
    await expect(taken).rejects.toThrow("receivers::otlp::protocols::http::endpoint: listen on");
    await first.receiver.reconfigure?.(sectionOf({ endpoint: `127.0.0.1:${first.httpPort}` }, {}) as never);
    expect((await createKeptClient(first.httpPort)()).status).toBe(200);
  });

  test("finds the authenticator that is there then", async () => {
    const auth = { authenticator: "checker" };
    const refuse = (why: string | undefined) => ({ authenticate: () => why });
    const { receiver, host, post } = await setUpOtlp({ http: { auth }, extensions: { checker: refuse("no") } });
    expect((await post("/v1/logs", bytesOf("logs"))).status).toBe(401);
    host.extensions.set("checker", refuse(undefined));
    await receiver.reconfigure?.(sectionOf({ auth }, {}) as never);
    expect((await post("/v1/logs", bytesOf("logs"))).status).toBe(200);
    await expect(receiver.reconfigure?.(sectionOf({ auth: { authenticator: "gone" } }, {}) as never)).rejects.toThrow(
      'no extension "gone" is active',
    );
  });
});
