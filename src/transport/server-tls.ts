/** The certificate, key and client authorities of a server, followed when their files change. */

import { constants } from "node:crypto";
import type { TlsOptions } from "node:tls";
import type { TlsConfig, TlsVersion } from "./http-client-config.ts";
import { PemFiles } from "./pem-files.ts";

/** TLS of a server, as in the Collector's configtls: client authorities turn on mutual TLS. */
export interface ServerTlsConfig {
  readonly cert?: string | undefined;
  readonly certFile?: string | undefined;
  readonly key?: string | undefined;
  readonly keyFile?: string | undefined;
  readonly clientCa?: string | undefined;
  readonly clientCaFile?: string | undefined;
  readonly minVersion?: TlsVersion | undefined;
  readonly maxVersion?: TlsVersion | undefined;
  /** OpenSSL names of the allowed TLS 1.2 cipher suites. */
  readonly cipherSuites?: readonly string[] | undefined;
}

/** The files behind a running server. */
export interface ServerTls {
  /** Reads everything; throws HttpError FILE_UNREADABLE or TLS_INVALID naming the key below `tls`. */
  read(): TlsOptions;
  /** New options when a file has changed, looked at most once a second; undefined while files are unusable. */
  readChanged(): TlsOptions | undefined;
}

const recheckMs = 1000;

export function createServerTls(config: ServerTlsConfig): ServerTls {
  const { clientCa, clientCaFile, ...own } = config;
  const pems = new PemFiles(own satisfies TlsConfig, {
    key: "tls",
    caName: "client_ca",
    ca: clientCa,
    caFile: clientCaFile,
  });
  let checkedMs = 0;
  const load = (): TlsOptions => {
    pems.requireCertificate();
    const mutual = pems.ca !== undefined;
    return {
      ...pems.contextOptions(mutual ? [pems.ca ?? ""] : undefined),
      // As in Go: a client of TLS 1.2 that asks for one handshake after the other would cost the server far more than itself.
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
      requestCert: mutual,
      rejectUnauthorized: mutual,
    };
  };
  return {
    read() {
      checkedMs = performance.now();
      pems.read();
      return load();
    },
    readChanged() {
      if (performance.now() - checkedMs < recheckMs) {
        return undefined;
      }
      checkedMs = performance.now();
      try {
        return pems.read() ? load() : undefined;
      } catch {
        // Half of a new pair may be written already: the old one serves on until both fit.
        pems.forget();
        return undefined;
      }
    },
  };
}
