/** Every kind of authentication, for scraping and for remote write, with secrets that rotate and are never shown. */

import { renameSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { carries, Guard, TokenIssuer } from "../kit/guarded-servers.ts";
import { readOwnMetrics, readTargets } from "../kit/own-metrics.ts";
import { RecordingSink } from "../kit/recording-sink.ts";
import { runConfig } from "../kit/run-file.ts";
import { scrapeFaults, upValues } from "../kit/scrape-gaps.ts";
import { startMillraceAgent, startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder, type TempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";
import { createTestAuthority } from "../support/certificates.ts";
import { serveHttp, serveHttps, serveProxy, type TestServer } from "../support/http-servers.ts";

const global = { scrape_interval: "300ms", scrape_timeout: "300ms" };
const queue = { batch_send_deadline: "20ms", min_backoff: "10ms", max_backoff: "100ms" };
/** Every secret begins so, so that one search finds each of them anywhere. */
const mark = "hush-";
const basic = (user: string, password: string) => `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;

/** One way to prove who one is: keys of the client, for scraping and for remote write, and the server that checks them. */
interface Kind {
  readonly name: string;
  readonly guard: Guard;
  readonly server: TestServer;
  readonly client: Readonly<Record<string, unknown>>;
  /** Scheme and address that targets are named by. */
  readonly scheme: "http" | "https";
}

async function plainKind(name: string, client: Record<string, unknown>, guard: Guard): Promise<Kind> {
  return { name, guard, server: await serveHttp(guard.listener), client, scheme: "http" };
}

async function startKinds(folder: TempFolder) {
  const authority = createTestAuthority(folder.path);
  const issuer = new TokenIssuer("client", `${mark}client-secret`, `${mark}token-`);
  const tokens = await serveHttp(issuer.listener);
  const passwordFile = folder.write("password", `${mark}file-password\n`);
  const credentialsFile = folder.write("credentials", `${mark}bearer-1\n`);
  const rotated = new Guard(carries("authorization", `Bearer ${mark}bearer-1`));
  const header = { "X-Secret": { secrets: [`${mark}header`] }, "X-Plain": { values: ["plain"] } };
  const { certFile, keyFile, cert, key } = authority.issue("server");
  const client1 = authority.issue("client-1");
  const mutual = new Guard();
  const secure = new Guard();
  const tunneled = new Guard();
  const proxied = new Guard(carries("proxy-authorization", basic("user", `${mark}proxy`)));
  const proxy = await serveHttp(proxied.listener);
  const tunnel = await serveProxy();
  const basicGuard = (password: string) => new Guard(carries("authorization", basic("user", password)));
  const tlsOf = (guard: Guard) => serveHttps({ cert, key }, guard.listener);
  const kinds: Kind[] = [
    await plainKind(
      "basic",
      { basic_auth: { username: "user", password: `${mark}password` } },
      basicGuard(`${mark}password`),
    ),
    await plainKind(
      "basic_file",
      { basic_auth: { username: "user", password_file: passwordFile } },
      basicGuard(`${mark}file-password`),
    ),
    await plainKind(
      "bearer",
      { authorization: { type: "Token", credentials: `${mark}credentials` } },
      new Guard(carries("authorization", `Token ${mark}credentials`)),
    ),
    await plainKind("bearer_file", { authorization: { credentials_file: credentialsFile } }, rotated),
    await plainKind(
      "oauth2",
      {
        oauth2: {
          client_id: "client",
          client_secret: `${mark}client-secret`,
          token_url: `${tokens.url}/token`,
          scopes: ["read"],
        },
      },
      new Guard(issuer.accepts),
    ),
    await plainKind("headers", { http_headers: header }, new Guard(carries("x-secret", `${mark}header`))),
    {
      name: "tls",
      guard: secure,
      server: await tlsOf(secure),
      client: { tls_config: { ca_file: authority.caFile } },
      scheme: "https",
    },
    {
      name: "mutual_tls",
      guard: mutual,
      server: await serveHttps({ cert, key, ca: authority.ca, requestCert: true }, mutual.listener),
      client: {
        tls_config: {
          ca_file: authority.caFile,
          cert_file: folder.file("client.pem"),
          key_file: folder.file("client.key"),
        },
      },
      scheme: "https",
    },
    {
      name: "proxy",
      guard: proxied,
      server: proxy,
      client: { proxy_url: proxy.url.replace("://", `://user:${mark}proxy@`) },
      scheme: "http",
    },
    {
      name: "tunnel",
      guard: tunneled,
      server: await tlsOf(tunneled),
      client: {
        tls_config: { ca_file: authority.caFile },
        proxy_url: tunnel.url.replace("://", `://user:${mark}tunnel@`),
        proxy_connect_header: { "X-Connect": [`${mark}connect`] },
      },
      scheme: "https",
    },
  ];
  const useClient = ({ cert: certText, key: keyText }: { readonly cert: string; readonly key: string }) => {
    // Both are in place before either is looked at again; a pair that does not fit together would fail scrapes.
    renameSync(folder.write("client.key.new", keyText), folder.file("client.key"));
    renameSync(folder.write("client.pem.new", certText), folder.file("client.pem"));
  };
  useClient(client1);
  return { kinds, rotated, mutual, tunnel, issuer, authority, useClient, credentialsFile, certFile, keyFile };
}

describe("authentication of an agent", () => {
  it("works in every kind for scrapes and writes, follows rotated files, and shows no secret", async () => {
    using folder = createTempFolder("security");
    await using sink = await RecordingSink.start();
    const world = await startKinds(folder);
    const { kinds, rotated, mutual } = world;
    const wrong = await plainKind(
      "wrong",
      { basic_auth: { username: "u", password: `${mark}wrong` } },
      new Guard(() => false),
    );
    const untrusted = { ...kinds.find(({ name }) => name === "tls"), name: "untrusted", client: {} } as Kind;
    const all = [...kinds, wrong, untrusted];
    const target = ({ name, server }: Kind) => (name === "proxy" ? "behind.example:80" : `127.0.0.1:${server.port}`);
    const config = {
      global,
      remote_write: [
        { url: sink.url("/write"), queue_config: queue },
        ...all.map((kind) => ({
          name: kind.name,
          url: `${kind.scheme}://${target(kind)}/write`,
          queue_config: queue,
          ...kind.client,
        })),
      ],
      scrape_configs: all.map((kind) => ({
        job_name: kind.name,
        scheme: kind.scheme,
        ...kind.client,
        static_configs: [{ targets: [target(kind)] }],
      })),
    };
    await using agent = await startMillraceAgent(
      folder,
      folder.write("prometheus.yml", stringify(config)),
      "--log.level=debug",
      "--storage.remote.flush-deadline=500ms",
    );
    await waitFor("every kind to be let in", () => kinds.every(({ guard }) => guard.scrapes > 2 && guard.writes > 2));
    expect(mutual.subjects).toEqual(["client-1"]);
    expect(world.tunnel.asked[0]?.headers["x-connect"]).toBe(`${mark}connect`);
    expect(world.tunnel.asked[0]?.headers["proxy-authorization"]).toBe(basic("user", `${mark}tunnel`));

    world.useClient(world.authority.issue("client-2"));
    await waitFor("the new certificate", () => mutual.subjects.includes("client-2"));
    folder.write("credentials", `${mark}bearer-2\n`);
    rotated.allows = carries("authorization", `Bearer ${mark}bearer-2`);
    const { scrapes, writes } = rotated;
    await waitFor("the new credentials", () => rotated.scrapes > scrapes + 2 && rotated.writes > writes + 2);

    const path = sink.path("/write");
    const metrics = await readOwnMetrics(agent.url);
    const targets = await readTargets(agent.url);
    const steady = kinds.filter(({ name }) => name !== "mutual_tls" && name !== "bearer_file");
    expect(steady.flatMap(({ name }) => scrapeFaults(path, { job: name }, 300))).toEqual([]);
    const failed = (name: string) =>
      metrics.sum("prometheus_remote_storage_samples_failed_total", { remote_name: name });
    expect(steady.map(({ name }) => ({ name, failed: failed(name) }))).toEqual(
      steady.map(({ name }) => ({ name, failed: 0 })),
    );
    expect(new Set(upValues(path, { job: "wrong" }))).toEqual(new Set([0]));
    expect(failed("wrong")).toBeGreaterThan(0);
    expect(new Set(upValues(path, { job: "untrusted" }))).toEqual(new Set([0]));
    expect(targets.find(({ scrapePool }) => scrapePool === "wrong")?.lastError).toMatch(/401 Unauthorized/);
    expect(targets.find(({ scrapePool }) => scrapePool === "untrusted")?.lastError).toMatch(/certificate/i);

    expect(await agent.process.stop()).toEqual({ code: 0, signal: null });
    const shown = [agent.process.output, metrics.text, JSON.stringify(targets)];
    expect(shown.flatMap(secretsIn)).toEqual([]);
  });
});

describe("authentication of a run", () => {
  it("shows no secret of scrapes and writes, whether they are let in or not", async () => {
    using folder = createTempFolder("security-run");
    const scraped = new Guard(carries("authorization", basic("user", `${mark}scrape`)));
    const written = new Guard(carries("authorization", `Bearer ${mark}header`));
    const refusing = new Guard(() => false);
    const [target, server, refuser] = [
      await serveHttp(scraped.listener),
      await serveHttp(written.listener),
      await serveHttp(refusing.listener),
    ];
    const job = (name: string, port: number) => ({
      job_name: name,
      basic_auth: { username: "user", password: `${mark}scrape` },
      static_configs: [{ targets: [`127.0.0.1:${port}`] }],
    });
    const headers = { Authorization: `Bearer ${mark}header` };
    const exporters = {
      "prometheus_remote_write/in": { endpoint: `${server.url}/write`, headers },
      "prometheus_remote_write/out": { endpoint: refuser.url.replace("://", `://user:${mark}url@`), headers },
      "prometheus_remote_write/nowhere": {
        endpoint: `http://user:${mark}url@127.0.0.1:1/write`,
        retry_on_failure: { initial_interval: "10ms", max_interval: "50ms", max_elapsed_time: "100ms" },
      },
    };
    const jobs = [job("in", target.port), job("out", refuser.port)];
    const file = folder.write("config.yaml", runConfig({ global, jobs, exporters, logLevel: "debug" }));
    await using run = await startMillraceRun(file);
    const url = (await run.waitForOutput(/"url":\s*"(http[^"]+)\/metrics"/))[1] ?? "";
    await waitFor("requests", () => scraped.scrapes > 2 && written.writes > 2 && refusing.refused > 5);
    await run.waitForOutput(
      /prometheus_remote_write\/nowhere.*Dropping data|Dropping data.*prometheus_remote_write\/nowhere/,
    );
    const metrics = await readOwnMetrics(url);
    const dropped = (name: string, reason: string) =>
      metrics.sum("exporter_prometheus_remote_write_dropped_samples_total", {
        exporter: `prometheus_remote_write/${name}`,
        reason,
      });
    expect(dropped("out", "rejected")).toBeGreaterThan(0);
    expect(dropped("nowhere", "expired")).toBeGreaterThan(0);
    expect(dropped("in", "rejected")).toBe(0);
    expect(await run.stop()).toEqual({ code: 0, signal: null });
    expect([run.output, metrics.text].flatMap(secretsIn)).toEqual([]);
  });
});

/** Lines that show a secret, as written or encoded as Basic credentials. */
function secretsIn(text: string): string[] {
  // "hush-" after "user:" in base64; each secret of the user begins so.
  const encoded = Buffer.from(`user:${mark}`).toString("base64").replace(/=+$/, "").slice(0, -1);
  return text.split("\n").filter((line) => line.includes(mark) || line.includes(encoded));
}
