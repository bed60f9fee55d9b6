/** Requests and pages over TLS: who is trusted, who is shown which certificate, and files that change. */

import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { type CertificatePair, createTestAuthority, type TestAuthority } from "../../test/support/certificates.ts";
import { testHttpClient } from "../../test/support/http-client-kit.ts";
import { serveHttps, type TestServer } from "../../test/support/http-servers.ts";
import { testFolder } from "../../test/support/test-folder.ts";
import { collectBody } from "./collect-body.ts";
import { GrowableBuffer } from "./growable-buffer.ts";
import type { HttpClientConfig, TlsConfig } from "./http-client-config.ts";
import { createPageClient } from "./page-client.ts";

const signal = new AbortController().signal;
let folder: string;
let authority: TestAuthority;
let server: CertificatePair;
let alice: CertificatePair;
let bob: CertificatePair;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "transport-tls-"));
  authority = createTestAuthority(folder);
  server = authority.issue("server");
  alice = authority.issue("alice");
  bob = authority.issue("bob");
});

afterAll(() => rmSync(folder, { recursive: true }));

interface Client {
  get(url: string): Promise<string>;
  /** Of those that look at their files ahead of a request. */
  checkFiles?(): void;
  close(): Promise<void>;
}

interface Options {
  readonly allowH2?: boolean;
  readonly nowMs?: () => number;
}

type Connect = (tls: TlsConfig, config?: HttpClientConfig, options?: Options) => Client;

const requests: Connect = (tls, config = {}, options = {}) => {
  const client = testHttpClient({ ...config, tls }, options);
  return {
    async get(url) {
      const response = await client.request({ method: "GET", url: new URL(url), signal });
      return String(await collectBody(response, { maxBytes: 1_000_000 }));
    },
    checkFiles: () => client.checkFiles(),
    close: () => client.close(),
  };
};

const pages: Connect = (tls, config = {}, options = {}) => {
  const client = createPageClient({ ...config, tls }, { userAgent: "test/1", ...options });
  onTestFinished(() => client.close());
  return {
    async get(url) {
      const into = new GrowableBuffer();
      const source = client.source({ url: new URL(url), headers: {}, socketPath: undefined });
      await source.fetch(into, { maxBytes: 1_000_000, timeoutMs: 5000 }, signal);
      return into.bytes.toString();
    },
    close: () => client.close(),
  };
};

function serve(pair: CertificatePair): Promise<TestServer> {
  return serveHttps({ cert: pair.cert, key: pair.key }, (_request, response) => response.end("hello"));
}

/** Answers with the name of the client's certificate. */
function serveMutual(): Promise<TestServer> {
  const options = { cert: server.cert, key: server.key, ca: authority.ca, requestCert: true, rejectUnauthorized: true };
  return serveHttps(options, (request, response) => {
    response.end(String((request.socket as TLSSocket).getPeerCertificate().subject.CN));
  });
}

describe.each([
  ["requests", requests],
  ["pages", pages],
] as const)("a client of %s", (_name, client) => {
  test.each<{ title: string; tls: () => TlsConfig }>([
    { title: "a CA as text", tls: () => ({ ca: authority.ca }) },
    { title: "a CA as file", tls: () => ({ caFile: authority.caFile }) },
    { title: "a CA beside the system's", tls: () => ({ ca: authority.ca, includeSystemCa: true }) },
    { title: "no verification", tls: () => ({ insecureSkipVerify: true }) },
    { title: "the name of the certificate as server name", tls: () => ({ ca: authority.ca, serverName: "localhost" }) },
    {
      title: "the address of the certificate as server name",
      tls: () => ({ ca: authority.ca, serverName: "127.0.0.1" }),
    },
    { title: "only TLS 1.2", tls: () => ({ ca: authority.ca, maxVersion: "TLSv1.2" }) },
    {
      title: "one cipher suite",
      tls: () => ({ ca: authority.ca, maxVersion: "TLSv1.2", cipherSuites: ["ECDHE-ECDSA-AES128-GCM-SHA256"] }),
    },
  ])("reaches an https server with $title", async ({ tls }) => {
    expect(await client(tls()).get((await serve(server)).url)).toBe("hello");
  });

  test.each<{ title: string; tls: () => TlsConfig; code: RegExp; message: RegExp }>([
    {
      title: "the CA is unknown",
      tls: () => ({}),
      code: /^UNABLE_TO_VERIFY|^SELF_SIGNED|^UNABLE_TO_GET/,
      message: /certificate of the server not accepted/,
    },
    {
      title: "the name is another one",
      tls: () => ({ ca: authority.ca, serverName: "other.example" }),
      code: /^ERR_TLS_CERT_ALTNAME_INVALID$/,
      message: /other\.example/,
    },
    {
      title: "the address is another one",
      tls: () => ({ ca: authority.ca, serverName: "10.1.2.3" }),
      code: /^ERR_TLS_CERT_ALTNAME_INVALID$/,
      message: /10\.1\.2\.3/,
    },
  ])("refuses the server when $title", async ({ tls, code, message }) => {
    const { url } = await serve(server);
    await expect(client(tls()).get(url)).rejects.toMatchObject({
      code: expect.stringMatching(code),
      message: expect.stringMatching(message),
    });
  });

  test("refuses a server below the lowest version", async () => {
    const old = await serveHttps({ cert: server.cert, key: server.key, maxVersion: "TLSv1.2" }, (_q, response) => {
      response.end();
    });
    await expect(client({ ca: authority.ca, minVersion: "TLSv1.3" }).get(old.url)).rejects.toMatchObject({
      message: expect.stringMatching(/TLS failure/),
    });
  });

  test("speaks TLS 1.0 with an old server when allowed", async () => {
    const options = { cert: server.cert, key: server.key, minVersion: "TLSv1", maxVersion: "TLSv1" } as const;
    const old = await serveHttps({ ...options, ciphers: "DEFAULT:@SECLEVEL=0" }, (_q, response) => {
      response.end("old");
    });
    expect(await client({ ca: authority.ca, minVersion: "TLSv1" }).get(old.url)).toBe("old");
  });

  test("reports plain HTTP on the other side as TLS failure", async () => {
    const { port } = await serve(server);
    await expect(client({}).get(`http://127.0.0.1:${port}`)).rejects.toMatchObject({ name: "HttpError" });
  });

  test("shows a client certificate and takes a new one from the files without breaking the old connection", async () => {
    const shown = testFolder();
    const [certFile, keyFile] = [join(shown, "client.pem"), join(shown, "client.key")];
    copyFileSync(alice.certFile, certFile);
    copyFileSync(alice.keyFile, keyFile);
    let nowMs = 0;
    const mutual = await serveMutual();
    const by = client({ caFile: authority.caFile, certFile, keyFile }, {}, { nowMs: () => nowMs });
    expect(await by.get(mutual.url)).toBe("alice");
    copyFileSync(bob.certFile, certFile);
    copyFileSync(bob.keyFile, keyFile);
    nowMs = 999;
    await new Promise(setImmediate);
    expect([await by.get(mutual.url), mutual.connections()]).toEqual(["alice", 1]);
    nowMs = 1000;
    expect([await by.get(mutual.url), mutual.connections()]).toEqual(["bob", 2]);
    await vi.waitFor(() => expect(mutual.open()).toBe(1));
  });

  test("fails without the certificate that the server wants", async () => {
    const { url } = await serveMutual();
    await expect(client({ ca: authority.ca }).get(url)).rejects.toMatchObject({ name: "HttpError" });
  });

  test.each<{ title: string; tls: () => TlsConfig; message: RegExp }>([
    {
      title: "a CA file that is missing",
      tls: () => ({ caFile: "/nowhere/ca.pem" }),
      message: /^tls_config\.ca_file: \/nowhere\/ca\.pem: file not found$/,
    },
    {
      title: "a CA file that is a folder",
      tls: () => ({ caFile: folder }),
      message: /^tls_config\.ca_file: .*: is a directory$/,
    },
    {
      title: "a CA file without a certificate",
      tls: () => {
        const caFile = join(folder, "garbage.pem");
        writeFileSync(caFile, "garbage");
        return { caFile };
      },
      message: /^tls_config\.ca_file: .*garbage\.pem: no usable PEM certificate/,
    },
    {
      title: "a key that is none",
      tls: () => ({ certFile: alice.certFile, key: "garbage" }),
      message: /^tls_config\.key: no usable PEM private key/,
    },
    {
      title: "a key of another certificate",
      tls: () => ({ certFile: alice.certFile, keyFile: bob.keyFile }),
      message: /^tls_config\.key_file: does not belong to the certificate of tls_config\.cert_file$/,
    },
    {
      title: "a certificate without key",
      tls: () => ({ certFile: alice.certFile }),
      message: /^tls_config\.key: no key given/,
    },
  ])("names the key of $title", async ({ tls, message }) => {
    const by = client(tls());
    const { url } = await serve(server);
    await expect(by.get(url)).rejects.toMatchObject({ message: expect.stringMatching(message) });
    if (by.checkFiles !== undefined) expect(() => by.checkFiles?.()).toThrow(message);
  });

  test("recovers when a missing file appears, and leaves http targets alone meanwhile", async () => {
    const caFile = join(testFolder(), "late.pem");
    const { url } = await serve(server);
    const by = client({ caFile });
    await expect(by.get(url)).rejects.toMatchObject({ code: "FILE_UNREADABLE" });
    await expect(by.get("http://127.0.0.1:1/")).rejects.toMatchObject({ code: "ECONNREFUSED" });
    copyFileSync(authority.caFile, caFile);
    expect(await by.get(url)).toBe("hello");
  });

  test.each([
    { title: "is used when offered", allowH2: true, enableHttp2: true, version: "2.0" },
    { title: "is not used when the configuration forbids it", allowH2: true, enableHttp2: false, version: "1.1" },
    { title: "is not used unless the client may", allowH2: false, enableHttp2: true, version: "1.1" },
  ])("HTTP/2 $title", async ({ allowH2, enableHttp2, version }) => {
    const h2 = createSecureServer({ cert: server.cert, key: server.key, allowHTTP1: true }, (request, response) => {
      response.end(request.httpVersion);
    });
    await new Promise<void>((resolve) => {
      h2.listen(0, "127.0.0.1", resolve);
    });
    onTestFinished(() => void h2.close());
    const by = client({ ca: authority.ca }, { enableHttp2 }, { allowH2 });
    const url = `https://127.0.0.1:${(h2.address() as AddressInfo).port}`;
    expect(await Promise.all([by.get(url), by.get(url), by.get(url)])).toEqual([version, version, version]);
    await by.close();
  });
});

test("a page larger than a TLS record arrives whole, and the next one on the same connection", async () => {
  const page = "0123456789".repeat(30_000);
  const big = await serveHttps({ cert: server.cert, key: server.key }, (_request, response) => response.end(page));
  const by = pages({ ca: authority.ca });
  expect((await by.get(big.url)) === page && (await by.get(big.url)) === page).toBe(true);
  expect(big.connections()).toBe(1);
});

test("a connection that is not kept resumes the session of the one before", async () => {
  const resumed: boolean[] = [];
  const tls = await serveHttps({ cert: server.cert, key: server.key, maxVersion: "TLSv1.2" }, (request, response) => {
    resumed.push((request.socket as TLSSocket).isSessionReused());
    response.end("x");
  });
  const by = pages({ ca: authority.ca }, { disableKeepAlives: true });
  await by.get(tls.url);
  await by.get(tls.url);
  expect(resumed).toEqual([false, true]);
});
