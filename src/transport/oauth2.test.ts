import { generateKeyPairSync, verify } from "node:crypto";
import { writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createTestAuthority } from "../../test/support/certificates.ts";
import { testHttpClient } from "../../test/support/http-client-kit.ts";
import { serveHttp, serveHttps, serveProxy } from "../../test/support/http-servers.ts";
import { testFolder } from "../../test/support/test-folder.ts";
import type { HttpClient } from "./http-client.ts";
import type { OAuth2Config } from "./http-client-config.ts";

const signal = new AbortController().signal;

interface TokenRequest {
  readonly authorization: string | undefined;
  readonly form: Record<string, string>;
}

type Answer = (request: TokenRequest, count: number) => { status?: number; body: unknown };

interface Setup {
  readonly tokenUrl: string;
  readonly targetUrl: URL;
  readonly tokens: TokenRequest[];
  readonly seen: (string | undefined)[];
}

const grantAll: Answer = (_request, count) => ({ body: { access_token: `t${count}`, expires_in: 60 } });

/** A token server and a target; `refused` are the tokens that the target answers with 401. */
async function setup(answer: Answer = grantAll, refused: readonly string[] = []): Promise<Setup> {
  const tokens: TokenRequest[] = [];
  const seen: (string | undefined)[] = [];
  const tokenServer = await serveHttp(tokenHandler(tokens, answer));
  const target = await serveHttp((request, response) => {
    seen.push(request.headers.authorization);
    response.writeHead(refused.includes(request.headers.authorization ?? "") ? 401 : 200).end();
  });
  return { tokenUrl: `${tokenServer.url}/token`, targetUrl: new URL(target.url), tokens, seen };
}

function tokenHandler(tokens: TokenRequest[], answer: Answer) {
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let body = "";
    for await (const chunk of request) {
      body += String(chunk);
    }
    const form = Object.fromEntries(new URLSearchParams(body));
    tokens.push({ authorization: request.headers.authorization, form });
    const { status, body: text } = answer({ authorization: request.headers.authorization, form }, tokens.length);
    response.writeHead(status ?? 200).end(typeof text === "string" ? text : JSON.stringify(text));
  };
}

function client(oauth2: OAuth2Config, nowMs?: () => number): HttpClient {
  return testHttpClient({ oauth2 }, { nowMs });
}

async function get(by: HttpClient, url: URL): Promise<number> {
  const response = await by.request({ method: "GET", url, signal });
  await response.body.dump();
  return response.status;
}

test("fetches one token for many requests with the client's credentials, scopes and parameters", async () => {
  const { tokenUrl, targetUrl, tokens, seen } = await setup();
  const by = client({
    clientId: "id+1",
    clientSecret: "s/ecret",
    tokenUrl,
    scopes: ["a", "b"],
    endpointParams: { audience: "x" },
  });
  await Promise.all([get(by, targetUrl), get(by, targetUrl), get(by, targetUrl)]);
  await get(by, targetUrl);
  expect(tokens).toEqual([
    {
      authorization: `Basic ${Buffer.from("id%2B1:s%2Fecret").toString("base64")}`,
      form: { grant_type: "client_credentials", scope: "a b", audience: "x" },
    },
  ]);
  expect(seen).toEqual(["Bearer t1", "Bearer t1", "Bearer t1", "Bearer t1"]);
});

test("sends the credentials in the body where the header is refused, and remembers that", async () => {
  const { tokenUrl, targetUrl, tokens } = await setup(({ authorization }, count) =>
    authorization === undefined
      ? { body: { access_token: `t${count}`, expires_in: 1 } }
      : { status: 401, body: { error: "invalid_client" } },
  );
  const by = client({ clientId: "id", clientSecret: "secret", tokenUrl });
  await get(by, targetUrl);
  await get(by, targetUrl);
  expect(tokens.map(({ authorization, form }) => [authorization === undefined, form["client_secret"]])).toEqual([
    [false, undefined],
    [true, "secret"],
    [true, "secret"],
  ]);
});

test("fetches a new token ten seconds before the old one expires", async () => {
  let nowMs = 1_000_000;
  const { tokenUrl, targetUrl, seen } = await setup();
  const by = client({ clientId: "id", clientSecret: "s", tokenUrl }, () => nowMs);
  await get(by, targetUrl);
  nowMs += 49_999;
  await get(by, targetUrl);
  nowMs += 1;
  await get(by, targetUrl);
  expect(seen).toEqual(["Bearer t1", "Bearer t1", "Bearer t2"]);
});

test("fetches a new token once when the target refuses the old one", async () => {
  const { tokenUrl, targetUrl, seen } = await setup(grantAll, ["Bearer t1", "Bearer t3", "Bearer t4"]);
  const by = client({ clientId: "id", clientSecret: "s", tokenUrl });
  expect(await get(by, targetUrl)).toBe(200);
  expect(seen).toEqual(["Bearer t1", "Bearer t2"]);
  const strict = await setup(grantAll, ["Bearer t1", "Bearer t2"]);
  expect(await get(client({ clientId: "id", clientSecret: "s", tokenUrl: strict.tokenUrl }), strict.targetUrl)).toBe(
    401,
  );
  expect(strict.seen).toEqual(["Bearer t1", "Bearer t2"]);
});

test("fetches a new token when the file of the secret changes", async () => {
  const clientSecretFile = join(testFolder(), "secret");
  writeFileSync(clientSecretFile, "one\n");
  const { tokenUrl, targetUrl, tokens } = await setup();
  const by = client({ clientId: "id", clientSecretFile, tokenUrl });
  await get(by, targetUrl);
  writeFileSync(clientSecretFile, "second\n");
  await get(by, targetUrl);
  const sent = tokens.map(({ authorization }) => Buffer.from(authorization?.slice(6) ?? "", "base64").toString());
  expect(sent).toEqual(["id:one", "id:second"]);
});

test.each<{ title: string; body: unknown; expected: string }>([
  { title: "token type in lower case", body: { access_token: "t", token_type: "bearer" }, expected: "Bearer t" },
  { title: "another token type", body: { access_token: "t", token_type: "DPoP" }, expected: "DPoP t" },
  { title: "expiry as text", body: { access_token: "t", expires_in: "3600" }, expected: "Bearer t" },
  { title: "a form", body: "access_token=t&token_type=bearer&expires_in=3600", expected: "Bearer t" },
])("understands an answer with $title", async ({ body, expected }) => {
  const { tokenUrl, targetUrl, seen } = await setup(() => ({ body }));
  const by = client({ clientId: "id", tokenUrl });
  await get(by, targetUrl);
  expect(seen).toEqual([expected]);
});

test.each<{ title: string; answer: Answer; message: RegExp }>([
  {
    title: "a refusal",
    answer: ({ form }) => ({ status: 400, body: { error: "invalid_client", error_description: JSON.stringify(form) } }),
    message: /^oauth2: http:\/\/127\.0\.0\.1:\d+\/token answered 400: invalid_client$/,
  },
  { title: "no token", answer: () => ({ body: {} }), message: /answered without access_token$/ },
  { title: "nonsense", answer: () => ({ body: "<html>" }), message: /answered without access_token$/ },
])("reports $title without secrets, and asks again for the next request", async ({ answer, message }) => {
  const { tokenUrl, targetUrl, tokens, seen } = await setup(answer);
  const by = client({ clientId: "id", clientSecret: "hunter2", tokenUrl });
  await expect(get(by, targetUrl)).rejects.toMatchObject({ message: expect.stringMatching(message) });
  const asked = tokens.length;
  await expect(get(by, targetUrl)).rejects.toThrow();
  expect([tokens.length > asked, seen]).toEqual([true, []]);
});

test("ends the wait for a token with the signal of the request", async () => {
  const tokenServer = await serveHttp(() => {});
  const by = client({ clientId: "id", tokenUrl: tokenServer.url });
  const url = new URL("http://127.0.0.1:1/");
  const work = by.request({ method: "GET", url, signal: AbortSignal.timeout(30) });
  await expect(work).rejects.toMatchObject({ code: "TIMEOUT" });
});

test.each([
  { algorithm: "RS256", digest: "sha256" },
  { algorithm: "RS384", digest: "sha384" },
  { algorithm: "RS512", digest: "sha512" },
] as const)("signs a JWT bearer assertion with $algorithm", async ({ algorithm, digest }) => {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const { tokenUrl, targetUrl, tokens, seen } = await setup();
  const nowMs = 1_700_000_000_500;
  const by = client(
    {
      clientId: "id",
      tokenUrl,
      grantType: "urn:ietf:params:oauth:grant-type:jwt-bearer",
      clientCertificateKey: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
      clientCertificateKeyId: "kid1",
      signatureAlgorithm: algorithm,
      scopes: ["a", "b"],
      audience: "aud",
      claims: { tenant: 7 },
    },
    () => nowMs,
  );
  await get(by, targetUrl);
  expect(seen).toEqual(["Bearer t1"]);
  const form = tokens[0]?.form ?? {};
  expect(form["grant_type"]).toBe("urn:ietf:params:oauth:grant-type:jwt-bearer");
  const [header = "", claims = "", signature = ""] = (form["assertion"] ?? "").split(".");
  const parse = (part: string): unknown => JSON.parse(Buffer.from(part, "base64url").toString());
  expect(parse(header)).toEqual({ alg: algorithm, typ: "JWT", kid: "kid1" });
  expect(parse(claims)).toEqual({
    iss: "id",
    sub: "id",
    aud: "aud",
    jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
    iat: 1_700_000_000,
    exp: 1_700_000_600,
    scope: "a b",
    tenant: 7,
  });
  const signed = Buffer.from(`${header}.${claims}`);
  expect(verify(digest, signed, publicKey, Buffer.from(signature, "base64url"))).toBe(true);
});

test("names the key of a private key that is none", async () => {
  const { tokenUrl, targetUrl } = await setup();
  const grantType = "urn:ietf:params:oauth:grant-type:jwt-bearer";
  const by = client({ clientId: "id", tokenUrl, grantType, clientCertificateKey: "hunter2" });
  await expect(get(by, targetUrl)).rejects.toMatchObject({
    message: "oauth2.client_certificate_key: no usable PEM of an RSA private key",
  });
});

test("uses the TLS settings and the proxy of the oauth2 block for tokens only", async () => {
  const at = testFolder();
  const authority = createTestAuthority(at);
  const pair = authority.issue("server");
  const tokens: TokenRequest[] = [];
  const tokenServer = await serveHttps({ cert: pair.cert, key: pair.key }, tokenHandler(tokens, grantAll));
  const proxy = await serveProxy();
  const { targetUrl, seen } = await setup();
  const by = client({ clientId: "id", tokenUrl: tokenServer.url, tls: { ca: authority.ca }, proxyUrl: proxy.url });
  await get(by, targetUrl);
  expect(seen).toEqual(["Bearer t1"]);
  expect(proxy.asked.map(({ line }) => line)).toEqual([`CONNECT 127.0.0.1:${tokenServer.port}`]);
  const broken = client({ clientId: "id", tokenUrl: tokenServer.url, tls: { caFile: "/nowhere" } });
  expect(() => broken.checkFiles()).toThrow(/^oauth2\.tls_config\.ca_file: \/nowhere: file not found$/);
});
