/** Decodes the `oauth2` block of an HTTP client. */

import { plainValue } from "../../codec/yaml/config-node.ts";
import type { OAuth2Config } from "../../transport/http-client-config.ts";
import { atMostOne, checkUrlKey, decodeProxy, decodeTls, filePath, given, PROXY_KEYS } from "./client-parts.ts";
import { noticeOnce } from "./decode-context.ts";
import type { SectionReader } from "./section-reader.ts";

const JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ALGORITHMS = ["RS256", "RS384", "RS512"] as const;
const OAUTH2_KEYS = [
  "client_id",
  "client_secret",
  "client_secret_file",
  "client_secret_ref",
  "client_certificate_key_id",
  "client_certificate_key",
  "client_certificate_key_file",
  "client_certificate_key_ref",
  "grant_type",
  "signature_algorithm",
  "iss",
  "audience",
  "claims",
  "scopes",
  "token_url",
  "endpoint_params",
  "tls_config",
  ...PROXY_KEYS,
];

/** Reads `oauth2` of a section that has it. */
export function decodeOAuth2(section: SectionReader): OAuth2Config {
  const oauth2 = section.section("oauth2", OAUTH2_KEYS);
  const clientId = oauth2.string("client_id");
  if (clientId === "") oauth2.fail("client_id", "client_id is missing");
  const tokenUrl = oauth2.secret("token_url");
  if (tokenUrl === "") oauth2.fail("token_url", "token_url is missing");
  else checkUrlKey(oauth2, "token_url", tokenUrl);
  const grantType = decodeGrantType(oauth2);
  const secretKeys = ["client_secret", "client_secret_file", "client_secret_ref"];
  const certificateKeys = ["client_certificate_key", "client_certificate_key_file", "client_certificate_key_ref"];
  atMostOne(oauth2, grantType === JWT_BEARER ? certificateKeys : secretKeys);
  return {
    clientId,
    clientSecret: given(oauth2.secret("client_secret")),
    clientSecretFile: filePath(oauth2, "client_secret_file"),
    tokenUrl,
    scopes: oauth2.strings("scopes"),
    endpointParams: Object.fromEntries(oauth2.stringMap("endpoint_params")),
    tls: decodeTls(oauth2),
    grantType,
    clientCertificateKey: given(oauth2.secret("client_certificate_key")),
    clientCertificateKeyFile: filePath(oauth2, "client_certificate_key_file"),
    clientCertificateKeyId: given(oauth2.string("client_certificate_key_id")),
    signatureAlgorithm: decodeAlgorithm(oauth2, grantType),
    iss: given(oauth2.string("iss")),
    audience: given(oauth2.string("audience")),
    claims: decodeClaims(oauth2),
    ...decodeProxy(oauth2),
  };
}

/** Undefined where it is not written, which means `client_credentials`. */
function decodeGrantType(oauth2: SectionReader): OAuth2Config["grantType"] {
  const text = oauth2.string("grant_type");
  if (text === JWT_BEARER || text === "") return text === "" ? undefined : text;
  if (text !== "client_credentials") {
    const message = "this grant type is unknown, client_credentials is used";
    noticeOnce(oauth2.context, "grant_type", oauth2.pathOf("grant_type"), message, oauth2.node("grant_type")?.at);
  }
  return "client_credentials";
}

function decodeAlgorithm(
  oauth2: SectionReader,
  grantType: OAuth2Config["grantType"],
): OAuth2Config["signatureAlgorithm"] {
  const text = oauth2.string("signature_algorithm");
  const algorithm = ALGORITHMS.find((known) => known === text);
  if (text !== "" && algorithm === undefined && grantType === JWT_BEARER) {
    oauth2.failWord("signature_algorithm", ALGORITHMS);
  }
  return algorithm;
}

function decodeClaims(oauth2: SectionReader): Readonly<Record<string, unknown>> | undefined {
  const entries = oauth2.entries("claims");
  if (entries.length === 0) return undefined;
  return Object.fromEntries(entries.map((entry) => [entry.key, plainValue(entry.value)]));
}
