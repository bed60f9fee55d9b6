/** What the keys of receiver `otlp` do, and which are refused. */

import { describe, expect, test } from "vitest";
import { metricsBytes, setUpOtlp } from "../../../test/support/otlp-receiver-kit.ts";
import { ConfigError } from "../../model/errors.ts";
import { parseConfig } from "../../testing/test-context.ts";
import { decodeStatus } from "../../transport/grpc-status.ts";
import otlp from "./otlp.ts";

describe("keys", () => {
  test("paths, headers and origins are those of the configuration", async () => {
    const { url, post } = await setUpOtlp({
      http: {
        metrics_url_path: "in/metrics",
        response_headers: { "x-own": "yes" },
        cors: { allowed_origins: ["https://*.example.com"], allowed_headers: ["x-token"], max_age: 60 },
      },
    });
    const answer = await post("/in/metrics", metricsBytes, { origin: "https://a.example.com" });
    expect([answer.status, answer.headers.get("x-own"), answer.headers.get("access-control-allow-origin")]).toEqual([
      200,
      "yes",
      "https://a.example.com",
    ]);
    expect((await post("/v1/metrics", metricsBytes)).status).toBe(404);
    const preflight = async (origin: string, asked: string) => {
      const headers = { origin, "access-control-request-method": "POST", "access-control-request-headers": asked };
      const response = await fetch(`${url}/in/metrics`, { method: "OPTIONS", headers });
      return [
        response.status,
        response.headers.get("access-control-allow-origin"),
        response.headers.get("access-control-max-age"),
      ];
    };
    expect(await preflight("https://b.example.com", "content-type,x-token")).toEqual([
      204,
      "https://b.example.com",
      "60",
    ]);
    expect(await preflight("https://b.example.com", "x-other")).toEqual([204, null, null]);
    expect(await preflight("https://evil.com", "content-type")).toEqual([204, null, null]);
  });

  test("an authenticator decides before the body is read", async () => {
    const extension = {
      authenticate: (headers: Record<string, unknown>) => (headers["x-token"] === "good" ? undefined : "who are you"),
    };
    const auth = { authenticator: "checker" };
    const { post, call, sink } = await setUpOtlp({
      http: { auth: { ...auth, request_params: ["x-token"] } },
      grpc: { auth },
      extensions: { checker: extension },
    });
    const refused = await post("/v1/metrics", metricsBytes);
    expect([refused.status, decodeStatus(refused.body)?.message]).toEqual([401, "who are you"]);
    expect((await post("/v1/metrics", metricsBytes, { "x-token": "good" })).status).toBe(200);
    expect((await post("/v1/metrics?x-token=good", metricsBytes)).status).toBe(401);
    expect(await call("metrics", metricsBytes)).toMatchObject({ code: 16, message: "who are you" });
    expect(await call("metrics", metricsBytes, { headers: { "x-token": "good" } })).toMatchObject({ code: 0 });
    expect(sink.rows()).toBe(2);
  });

  test("an authenticator that is not there is named", async () => {
    const error = await setUpOtlp({ grpc: { auth: { authenticator: "basicauth/x" } } }).catch(
      (caught: unknown) => caught,
    );
    expect(error).toBeInstanceOf(ConfigError);
    expect(String(error)).toContain(
      'receivers::otlp::protocols::grpc::auth::authenticator: no extension "basicauth/x"',
    );
  });

  test("a port in use is named", async () => {
    const { httpPort } = await setUpOtlp();
    const error = await setUpOtlp({ http: { endpoint: `127.0.0.1:${httpPort}` } }).catch((caught: unknown) => caught);
    expect(String(error)).toContain("receivers::otlp::protocols::http::endpoint: listen on 127.0.0.1");
  });

  test("a limit of messages is in MiB", async () => {
    const { call } = await setUpOtlp({ grpc: { max_recv_msg_size_mib: 1 } });
    expect(await call("metrics", Buffer.alloc(1024 * 1024 + 1))).toMatchObject({ code: 8, retryAfterMs: undefined });
  });

  test.each([
    [{}, "at least one protocol"],
    [{ protocols: {} }, "at least one protocol"],
    [{ protocols: { grpc: { endpoint: "nowhere" } } }, 'expected an address like "localhost:4317", got "nowhere"'],
    [{ protocols: { http: { endpoint: "localhost:99999" } } }, 'got "localhost:99999"'],
    [{ protocols: { grpc: { middlewares: [{ id: "x" }] } } }, "not supported yet"],
    [{ protocols: { http: { compression_algorithms: ["br"] } } }, "compression_algorithms"],
    [{ protocols: { gprc: {} } }, "gprc"],
    [{ protocols: { grpc: { enabled: false } } }, "at least one protocol"],
    [{ protocols: { grpc: { tls: {} } } }, "both a certificate and a key"],
    [{ protocols: { http: { tls: { cert_file: "x" } } } }, "both a certificate and a key"],
  ])("refuses %j", (section, message) => {
    expect(() => parseConfig(otlp, section)).toThrow(message);
  });

  test("sections with enabled: false are as if they were absent, and keys of the Collector without a use here are taken", () => {
    const off = { enabled: false };
    const grpc = { tls: off, keepalive: off, auth: off, middlewares: [], dialer: { timeout: "1s" } };
    const section = { protocols: { grpc, http: { enabled: true, cors: off, auth: off } } };
    expect(parseConfig(otlp, section)).toMatchObject({
      protocols: {
        grpc: { tls: undefined, keepalive: undefined, auth: undefined },
        http: { cors: undefined, auth: undefined },
      },
    });
    expect(parseConfig(otlp, { protocols: { grpc: null, http: off } })).toMatchObject({
      protocols: { http: undefined },
    });
  });
});
