/** The certificate, key and authorities of one TLS block, as texts or as files that may change. */

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { toError } from "../model/errors.ts";
import type { TlsConfig } from "./http-client-config.ts";
import { HttpError } from "./http-error.ts";
import { WatchedFile } from "./watched-file.ts";

/** How the block is called in the configuration. */
export interface PemNames {
  /** The key of the block, e.g. `tls_config`. */
  readonly key: string;
  /** `ca` for clients, `client_ca` for servers. */
  readonly caName: string;
  readonly ca: string | undefined;
  readonly caFile: string | undefined;
}

/** Reads nothing before `read` is called; every error is an HttpError that names the key at fault. */
export class PemFiles {
  readonly #block: string;
  readonly #ca: PemPart;
  readonly #cert: PemPart;
  readonly #key: PemPart;
  readonly #config: TlsConfig;

  constructor(config: TlsConfig, names: PemNames) {
    this.#config = config;
    this.#block = names.key;
    this.#ca = new PemPart(`${names.key}.${names.caName}`, names.ca, names.caFile);
    this.#cert = new PemPart(`${names.key}.cert`, config.cert, config.certFile);
    this.#key = new PemPart(`${names.key}.key`, config.key, config.keyFile);
  }

  /** Reads what changed; true when the content is another one than at the last call. */
  read(): boolean {
    const ca = this.#ca.read();
    const cert = this.#cert.read();
    const key = this.#key.read();
    return ca || cert || key;
  }

  /** Makes the next `read` report a change. */
  forget(): void {
    this.#ca.forget();
    this.#cert.forget();
    this.#key.forget();
  }

  get ca(): string | undefined {
    return this.#ca.text;
  }

  /** Throws when there is no certificate: a server cannot do without. */
  requireCertificate(): void {
    if (this.#cert.text === undefined) {
      throw invalid(this.#cert.name, "no certificate given");
    }
  }

  /** Checked options of a TLS context that trusts `ca`, or Node's default authorities without it. */
  contextOptions(ca: readonly string[] | undefined): SecureContextOptions {
    this.#checkParts();
    const { minVersion, maxVersion, cipherSuites } = this.#config;
    const ciphers = cipherList(minVersion, cipherSuites);
    const options = {
      ...(ca === undefined ? {} : { ca: [...ca] }),
      ...(this.#cert.text === undefined ? {} : { cert: this.#cert.text, key: this.#key.text }),
      ...(minVersion === undefined ? {} : { minVersion }),
      ...(maxVersion === undefined ? {} : { maxVersion }),
      ...(ciphers === undefined ? {} : { ciphers }),
    };
    try {
      // The authorities are many and were checked: without them this costs little.
      createSecureContext({ ...options, ca: [] });
    } catch (caught) {
      throw invalid(this.#block, toError(caught).message);
    }
    return options;
  }

  #checkParts(): void {
    this.#ca.checkCertificate();
    const certificate = this.#cert.checkCertificate();
    const privateKey = this.#key.checkPrivateKey();
    if (certificate !== undefined && privateKey === undefined) {
      throw invalid(this.#key.name, "no key given for the certificate");
    }
    if (certificate === undefined && privateKey !== undefined) {
      throw invalid(this.#cert.name, "no certificate given for the key");
    }
    if (certificate !== undefined && privateKey !== undefined && !certificate.checkPrivateKey(privateKey)) {
      throw invalid(this.#key.name, `does not belong to the certificate of ${this.#cert.name}`);
    }
  }
}

class PemPart {
  readonly #base: string;
  readonly #file: WatchedFile | undefined;
  #text: string | undefined;

  constructor(base: string, text: string | undefined, path: string | undefined) {
    this.#base = base;
    this.#text = text === "" ? undefined : text;
    const useFile = this.#text === undefined && path !== undefined && path !== "";
    this.#file = useFile ? new WatchedFile(`${base}_file`, path) : undefined;
  }

  get name(): string {
    return this.#file === undefined ? this.#base : `${this.#base}_file`;
  }

  get text(): string | undefined {
    return this.#text;
  }

  read(): boolean {
    if (this.#file === undefined) {
      return false;
    }
    const before = this.#text;
    this.#text = this.#file.read();
    return this.#text !== before;
  }

  forget(): void {
    if (this.#file !== undefined) {
      this.#text = undefined;
    }
  }

  checkCertificate(): X509Certificate | undefined {
    return this.#check("certificate", (text) => new X509Certificate(text));
  }

  checkPrivateKey(): KeyObject | undefined {
    return this.#check("private key", (text) => createPrivateKey(text));
  }

  #check<T>(what: string, parse: (text: string) => T): T | undefined {
    if (this.#text === undefined) {
      return undefined;
    }
    try {
      return parse(this.#text);
    } catch (caught) {
      const at = this.#file === undefined ? "" : `${this.#file.path}: `;
      throw invalid(this.name, `${at}no usable PEM ${what}: ${toError(caught).message}`);
    }
  }
}

function cipherList(minVersion: string | undefined, suites: readonly string[] | undefined): string | undefined {
  const names = suites === undefined || suites.length === 0 ? undefined : suites.join(":");
  // OpenSSL 3 refuses TLS 1.0 and 1.1 above security level 0, whatever minVersion says.
  const old = minVersion === "TLSv1" || minVersion === "TLSv1.1";
  return old ? `${names ?? "DEFAULT"}:@SECLEVEL=0` : names;
}

function invalid(key: string, message: string): HttpError {
  return new HttpError("TLS_INVALID", `${key}: ${message}`);
}
