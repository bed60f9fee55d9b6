/** Signed assertions for the OAuth 2.0 JWT bearer grant (RFC 7523 section 2.1). */

import { createPrivateKey, type KeyObject, randomUUID, sign } from "node:crypto";
import type { OAuth2Config } from "./http-client-config.ts";
import { HttpError } from "./http-error.ts";

const lifetimeSeconds = 600;

const digests = { RS256: "sha256", RS384: "sha384", RS512: "sha512" } as const;

/** The assertion as compact JWS. `nowMs` is wall clock. Throws HttpError TLS_INVALID when the key is no RSA key. */
export function createAssertion(config: OAuth2Config, privateKeyPem: string, nowMs: number): string {
  const algorithm = config.signatureAlgorithm ?? "RS256";
  const header = {
    alg: algorithm,
    typ: "JWT",
    ...(config.clientCertificateKeyId ? { kid: config.clientCertificateKeyId } : {}),
  };
  const issuedAt = Math.floor(nowMs / 1000);
  const claims = {
    iss: config.iss || config.clientId,
    sub: config.clientId,
    aud: config.audience || config.tokenUrl,
    jti: randomUUID(),
    iat: issuedAt,
    exp: issuedAt + lifetimeSeconds,
    ...(config.scopes !== undefined && config.scopes.length > 0 ? { scope: config.scopes.join(" ") } : {}),
    ...config.claims,
  };
  const signed = `${encode(header)}.${encode(claims)}`;
  const signature = sign(digests[algorithm], Buffer.from(signed), parseRsaKey(privateKeyPem));
  return `${signed}.${signature.toString("base64url")}`;
}

function parseRsaKey(pem: string): KeyObject {
  let key: KeyObject | undefined;
  try {
    key = createPrivateKey(pem);
  } catch {
    // The cause could quote the key.
  }
  if (key?.asymmetricKeyType !== "rsa") {
    throw new HttpError("TLS_INVALID", "oauth2.client_certificate_key: no usable PEM of an RSA private key");
  }
  return key;
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
