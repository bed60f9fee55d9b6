/** OTLP between two Millraces by mutual TLS and with credentials, over gRPC and HTTP; certificates are followed while it runs. */

import { copyFileSync } from "node:fs";
import { request } from "node:https";
import { connect } from "node:tls";
import { expect, it } from "vitest";
import { stringify } from "yaml";
import { buildTraces } from "../../src/testing/build-otlp.ts";
import { createGrpcClient } from "../../src/transport/grpc-client.ts";
import { freePort } from "../kit/free-port.ts";
import { grpcSink, otlpItems, otlpMethods, otlpPaths } from "../kit/otlp-traffic.ts";
import { startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";
import { createTestAuthority } from "../support/certificates.ts";

const service = { telemetry: { metrics: { level: "none" } } };
const token = "a-token-of-the-test";
const [username, password] = ["me", "a-password-of-the-test"];

it("mutual TLS, a bearer token and a password let the right client in, and nobody else; a new certificate is served", async () => {
  using folder = createTempFolder("otlp-secure");
  using sink = await grpcSink();
  const authority = createTestAuthority(folder.path);
  const [server, client, next] = [authority.issue("server"), authority.issue("client"), authority.issue("next")];
  const [grpc, http, plain] = [await freePort(), await freePort(), await freePort()];
  const tls = { cert_file: server.certFile, key_file: server.keyFile, client_ca_file: authority.caFile };
  const receiving = {
    extensions: {
      bearertokenauth: { token },
      basicauth: { htpasswd: { inline: `${username}:${password}` } },
    },
    receivers: {
      otlp: {
        protocols: {
          grpc: { endpoint: `127.0.0.1:${grpc}`, tls, auth: { authenticator: "bearertokenauth" } },
          http: { endpoint: `127.0.0.1:${http}`, tls, auth: { authenticator: "basicauth" } },
        },
      },
    },
    exporters: { otlp_grpc: { endpoint: sink.address, tls: { insecure: true } } },
    service: {
      ...service,
      extensions: ["bearertokenauth", "basicauth"],
      pipelines: { traces: { receivers: ["otlp"], exporters: ["otlp_grpc"] } },
    },
  };
  const own = { ca_file: authority.caFile, cert_file: client.certFile, key_file: client.keyFile };
  const sending = {
    extensions: { bearertokenauth: { token }, basicauth: { client_auth: { username, password } } },
    receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${plain}` } } } },
    exporters: {
      otlp_grpc: { endpoint: `localhost:${grpc}`, tls: own, auth: { authenticator: "bearertokenauth" } },
      otlp_http: { endpoint: `https://localhost:${http}`, tls: own, auth: { authenticator: "basicauth" } },
    },
    service: {
      ...service,
      extensions: ["bearertokenauth", "basicauth"],
      pipelines: { traces: { receivers: ["otlp"], exporters: ["otlp_grpc", "otlp_http"] } },
    },
  };
  await using first = await startMillraceRun(folder.write("receiving.yaml", stringify(receiving)));
  await using second = await startMillraceRun(folder.write("sending.yaml", stringify(sending)));
  const [trace] = buildTraces([{ name: "a" }]).requests;
  const bytes = Buffer.from(trace?.bytes ?? []);
  const headers = { "content-type": "application/x-protobuf" };
  const url = `http://127.0.0.1:${plain}${otlpPaths.traces}`;
  const send = async () => expect((await fetch(url, { method: "POST", headers, body: bytes })).status).toBe(200);
  const arrived = () => otlpItems("traces", sink.received.traces).length;
  await send();
  await waitFor("both ways", () => arrived() === 2);

  const mine = { ca: authority.ca, cert: client.cert, key: client.key };
  const call = async (keys: object, metadata: Readonly<Record<string, string>>) => {
    const caller = createGrpcClient({ target: `localhost:${grpc}`, tls: keys, userAgent: "test" });
    const { code } = await caller.call({
      path: otlpMethods.traces,
      message: bytes,
      headers: metadata,
      timeoutMs: 5000,
    });
    caller.destroy();
    return code;
  };
  const [unavailable, unauthenticated] = [14, 16];
  expect(await call({ ca: authority.ca }, { authorization: `Bearer ${token}` })).toBe(unavailable);
  expect(await call(mine, {})).toBe(unauthenticated);
  expect(await call(mine, { authorization: "Bearer another" })).toBe(unauthenticated);
  const post = (keys: object, authorization: string) =>
    new Promise<number | undefined>((resolve) => {
      const where = { host: "localhost", port: http, path: otlpPaths.traces, method: "POST", agent: false };
      const outgoing = request({ ...where, ...keys, headers: { ...headers, authorization } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      outgoing.on("error", () => resolve(undefined)).end(bytes);
    });
  const basic = (secret: string) => `Basic ${Buffer.from(`${username}:${secret}`).toString("base64")}`;
  expect(await post({ ca: authority.ca }, basic(password))).toBeUndefined();
  expect(await post(mine, basic("another"))).toBe(401);
  expect(arrived()).toBe(2);

  const served = (port: number) =>
    new Promise<string>((resolve) => {
      const socket = connect({ host: "localhost", port, ...mine, ALPNProtocols: ["h2", "http/1.1"] }, () => {
        resolve(socket.getPeerCertificate().fingerprint256);
        socket.destroy();
      });
      socket.on("error", () => resolve("none"));
    });
  const before = await Promise.all([grpc, http].map(served));
  copyFileSync(next.certFile, server.certFile);
  copyFileSync(next.keyFile, server.keyFile);
  await waitFor("the new certificate on both ports", async () => {
    const now = await Promise.all([grpc, http].map(served));
    return now.every((print, i) => print !== "none" && print !== before[i]);
  });
  await send();
  await waitFor("both ways again", () => arrived() === 4);
  for (const run of [first, second]) expect(run.tail()).not.toMatch(new RegExp(`${token}|${password}`));
});
