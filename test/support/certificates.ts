/** Certificates for tests, made by openssl when the test runs: a CA, and pairs that it signed. */

import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A certificate with its key, as files and as texts. */
export interface CertificatePair {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: string;
  readonly key: string;
}

/** An authority that signs for the tests of one folder. */
export interface TestAuthority {
  readonly caFile: string;
  readonly ca: string;
  /** Signs a new pair for the name; `subjectAltName` as openssl takes it, e.g. `IP:127.0.0.1,DNS:localhost`. */
  issue(name: string, subjectAltName?: string): CertificatePair;
}

/** Creates an authority whose files begin with `name` in the folder. */
export function createTestAuthority(folder: string, name = "ca"): TestAuthority {
  const caFile = join(folder, `${name}.pem`);
  const caKeyFile = join(folder, `${name}.key`);
  openssl(
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
    ...["-subj", `/CN=${name}`, "-keyout", caKeyFile, "-out", caFile],
  );
  let serial = 0;
  return {
    caFile,
    ca: readFileSync(caFile, "utf8"),
    issue(commonName, subjectAltName = "IP:127.0.0.1,DNS:localhost") {
      serial += 1;
      const base = join(folder, `${name}-${commonName}-${serial}`);
      openssl(
        ...["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
        ...["-subj", `/CN=${commonName}`, "-keyout", `${base}.key`, "-out", `${base}.csr`],
      );
      writeFileSync(`${base}.ext`, `subjectAltName=${subjectAltName}\n`);
      openssl(
        ...["x509", "-req", "-in", `${base}.csr`, "-CA", caFile, "-CAkey", caKeyFile, "-days", "2"],
        ...["-CAcreateserial", "-extfile", `${base}.ext`, "-out", `${base}.pem`],
      );
      const certFile = `${base}.pem`;
      const keyFile = `${base}.key`;
      return { certFile, keyFile, cert: readFileSync(certFile, "utf8"), key: readFileSync(keyFile, "utf8") };
    },
  };
}

function openssl(...args: string[]): void {
  execFileSync("openssl", args, { stdio: "pipe" });
}
