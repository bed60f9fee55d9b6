/** A server's certificate and key in files that a test replaces, and the clock that has them read again. */

import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished, vi } from "vitest";
import { createTestAuthority } from "./certificates.ts";
import { testFolder } from "./test-folder.ts";

/** Files of a server that asks for client certificates; `performance.now` stands still at 0 until `setNow`. */
export function replacedCertificates() {
  const folder = testFolder();
  const authority = createTestAuthority(folder);
  const other = createTestAuthority(folder, "other");
  const [pair, client, next] = [authority.issue("server"), authority.issue("client"), other.issue("server")];
  const [certFile, keyFile] = [join(folder, "s.pem"), join(folder, "s.key")];
  copyFileSync(pair.certFile, certFile);
  copyFileSync(pair.keyFile, keyFile);
  const clock = vi.spyOn(performance, "now");
  onTestFinished(() => clock.mockRestore());
  clock.mockReturnValue(0);
  return {
    /** Of the server. */
    tls: { certFile, keyFile, clientCaFile: authority.caFile },
    /** What a client shows that the server knows. */
    client: { cert: client.cert, key: client.key },
    /** Who signed the certificate of the server, and who signs the one that replaces it. */
    ca: authority.ca,
    nextCa: other.ca,
    replaceCert: () => copyFileSync(next.certFile, certFile),
    replaceKey: () => copyFileSync(next.keyFile, keyFile),
    setNow: (ms: number) => void clock.mockReturnValue(ms),
  };
}
