/** What a TLS client connects with, made from certificates and keys and made anew when their files change. */

import { isIP } from "node:net";
import {
  checkServerIdentity,
  createSecureContext,
  getCACertificates,
  type PeerCertificate,
  type SecureContext,
} from "node:tls";
import type { TlsConfig } from "./http-client-config.ts";
import { PemFiles } from "./pem-files.ts";

/** A new object whenever a file's content changed. */
export interface TlsMaterial {
  readonly secureContext: SecureContext;
  readonly rejectUnauthorized: boolean;
  /** Overrides the name that is sent and verified; undefined to use the host's name, or where it is an IP address. */
  readonly serverName: string | undefined;
  /** Verifies another identity than the host's: only where serverName is an IP address, which SNI cannot carry. */
  readonly checkServerIdentity: ((host: string, certificate: PeerCertificate) => Error | undefined) | undefined;
}

/** Returns the material as the files are now; throws HttpError FILE_UNREADABLE or TLS_INVALID, naming the key. */
export type TlsSource = () => TlsMaterial;

/** How long files are trusted before they are looked at again. */
const recheckMs = 1000;

/** `key` is the configuration key of the block, e.g. `tls_config`. Nothing is read before the first call. */
export function createTlsSource(config: TlsConfig | undefined, key: string, nowMs: () => number): TlsSource {
  const tls = config ?? {};
  const pems = new PemFiles(tls, { key, caName: "ca", ca: tls.ca, caFile: tls.caFile });
  let material: TlsMaterial | undefined;
  let checkedMs = 0;
  return () => {
    const now = nowMs();
    if (material !== undefined && now >= checkedMs && now - checkedMs < recheckMs) {
      return material;
    }
    // Forgotten first: a failure here must not leave yesterday's certificate in use.
    const previous = material;
    material = undefined;
    const changed = pems.read();
    material = changed || previous === undefined ? createMaterial(tls, pems) : previous;
    checkedMs = now;
    return material;
  };
}

function createMaterial(config: TlsConfig, pems: PemFiles): TlsMaterial {
  const verify = config.insecureSkipVerify !== true;
  const name = config.serverName === "" ? undefined : config.serverName;
  const isAddress = name !== undefined && isIP(name) !== 0;
  const create = () => (verify && isPlain(config) ? plainContext() : createContext(config, pems, verify));
  // Loading the public authorities takes 100 ms, which no start should wait for: nothing here can be wrong.
  let context = canFail(config) ? create() : undefined;
  return {
    get secureContext() {
      context ??= create();
      return context;
    },
    rejectUnauthorized: verify,
    serverName: isAddress ? undefined : name,
    checkServerIdentity: isAddress ? (_host, certificate) => checkServerIdentity(name, certificate) : undefined,
  };
}

function createContext(config: TlsConfig, pems: PemFiles, verify: boolean): SecureContext {
  return createSecureContext(pems.contextOptions(verify ? trustedCas(config, pems.ca) : []));
}

/** Nothing is set but what has no part in the context. */
function isPlain({
  serverName: _name,
  insecureSkipVerify: _skip,
  includeSystemCa: _system,
  ...rest
}: TlsConfig): boolean {
  return Object.values(rest).every((value) => value === undefined || value.length === 0);
}

/** Something is set that may not be usable: all but versions, which the configuration has checked. */
function canFail({ minVersion: _min, maxVersion: _max, ...rest }: TlsConfig): boolean {
  return !isPlain(rest);
}

let cachedPlainContext: SecureContext | undefined;

/** Hundreds of authorities take 50 ms to load, so the clients that have no own ones share them. */
function plainContext(): SecureContext {
  cachedPlainContext ??= createSecureContext({ ca: [...publicCas()] });
  return cachedPlainContext;
}

function trustedCas(config: TlsConfig, ca: string | undefined): readonly string[] {
  if (ca === undefined) {
    return publicCas();
  }
  return config.includeSystemCa === true ? [ca, ...publicCas()] : [ca];
}

let cachedPublicCas: readonly string[] | undefined;

/** The machine's own authorities, as Go trusts them, with Node's: images without CA certificates work as well. */
function publicCas(): readonly string[] {
  cachedPublicCas ??= [...new Set([...getCACertificates("default"), ...getCACertificates("system")])];
  return cachedPublicCas;
}
