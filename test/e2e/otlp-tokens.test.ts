/** Bearer tokens of the built command: several, from a file that changes, under another header and scheme, for servers and clients. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { status as grpcStatus, Metadata } from "@grpc/grpc-js";
import { expect, it, onTestFinished } from "vitest";
import { stringify } from "yaml";
import { buildLogs } from "../../src/testing/build-otlp.ts";
import { listen } from "../../src/transport/listen.ts";
import { freePort } from "../kit/free-port.ts";
import { otlpMethods, otlpPaths } from "../kit/otlp-traffic.ts";
import { startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";
import { callByPeer } from "../support/grpc-kit.ts";

const bytes = Buffer.from(buildLogs([{ body: "a" }]).requests[0]?.bytes ?? []);

/** A server that keeps the headers of credentials that come. */
async function startServer() {
  const credentials: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    credentials.push(request.headers.authorization);
    request.resume().on("end", () => response.writeHead(200, { "content-type": "application/x-protobuf" }).end());
  });
  await listen(server, { host: "127.0.0.1", port: 0 });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { credentials, endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

it("callers need one of the tokens, in the header and after the word that are asked for; a changed file counts at once, for clients too", async () => {
  using folder = createTempFolder("otlp-tokens");
  const { credentials, endpoint } = await startServer();
  const [grpc, http] = [await freePort(), await freePort()];
  const filename = folder.write("tokens", "first-of-file\nsecond-of-file\n");
  const config = {
    extensions: {
      "bearertokenauth/list": { tokens: ["one-of-list", "two-of-list"], header: "X-Api-Key", scheme: "Token" },
      "bearertokenauth/file": { filename },
    },
    receivers: {
      otlp: {
        protocols: {
          grpc: { endpoint: `127.0.0.1:${grpc}`, auth: { authenticator: "bearertokenauth/file" } },
          http: { endpoint: `127.0.0.1:${http}`, auth: { authenticator: "bearertokenauth/list" } },
        },
      },
    },
    exporters: { otlp_http: { endpoint, auth: { authenticator: "bearertokenauth/file" } } },
    service: {
      telemetry: { metrics: { level: "none" } },
      extensions: ["bearertokenauth/list", "bearertokenauth/file"],
      pipelines: { logs: { receivers: ["otlp"], exporters: ["otlp_http"] } },
    },
  };
  await using run = await startMillraceRun(folder.write("millrace.yaml", stringify(config)));

  const post = async (own: Readonly<Record<string, string>>) => {
    const headers = { "content-type": "application/x-protobuf", ...own };
    return (await fetch(`http://127.0.0.1:${http}${otlpPaths.logs}`, { method: "POST", headers, body: bytes })).status;
  };
  expect(await post({ "x-api-key": "Token one-of-list" })).toBe(200);
  expect(await post({ "x-api-key": "Token two-of-list" })).toBe(200);
  const refused: Readonly<Record<string, string>>[] = [
    {},
    { "x-api-key": "Bearer one-of-list" },
    { "x-api-key": "Token first-of-file" },
    { authorization: "Token one-of-list" },
  ];
  for (const headers of refused) expect(await post(headers), JSON.stringify(headers)).toBe(401);

  const call = async (token: string) => {
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${token}`);
    return (await callByPeer(grpc, bytes, { path: otlpMethods.logs, metadata })).code;
  };
  expect([await call("first-of-file"), await call("second-of-file")]).toEqual([grpcStatus.OK, grpcStatus.OK]);
  expect(await call("one-of-list")).toBe(grpcStatus.UNAUTHENTICATED);
  await waitFor("what was taken", () => credentials.length > 0);
  expect(new Set(credentials)).toEqual(new Set(["Bearer first-of-file"]));

  folder.write("tokens", "new-of-file\n");
  await waitFor("the new token", async () => (await call("new-of-file")) === grpcStatus.OK);
  expect(await call("first-of-file")).toBe(grpcStatus.UNAUTHENTICATED);
  await waitFor("the new token behind", () => credentials.at(-1) === "Bearer new-of-file");
  expect(run.tail()).not.toMatch(/of-(?:file|list)/);
});
