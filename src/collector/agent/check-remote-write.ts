/** Finds URLs, certificates and keys of `remote_write` entries that cannot be used, before anything is changed. */

import { ConfigError, type ConfigIssue } from "../../model/errors.ts";
import type { RemoteWriteConfig } from "../../prometheus/config/types.ts";
import { findFileIssue } from "../../transport/check-files.ts";
import { createHttpClient } from "../../transport/http-client.ts";

/**
 * Throws ConfigError with every entry whose URL no request can be made to, or whose TLS files cannot be read or do not fit
 * together, as Prometheus refuses them.
 */
export async function checkRemoteWrites(
  entries: readonly RemoteWriteConfig[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  const issues: ConfigIssue[] = [];
  for (const [index, { http, url, at }] of entries.entries()) {
    if (!URL.canParse(url)) {
      issues.push({ path: `remote_write[${index}]::url`, message: "expected an http or https URL", at });
    }
    if (http.tls === undefined && http.oauth2?.tls === undefined) continue;
    const client = createHttpClient(http, { userAgent: "", env });
    const issue = findFileIssue(client, `remote_write[${index}]`);
    if (issue !== undefined) issues.push({ ...issue, at });
    await client.close();
  }
  if (issues.length > 0) throw new ConfigError(issues);
}
