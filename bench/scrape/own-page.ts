/** Reads Millrace's own page of metrics. */

import type { Watch } from "./watch.ts";

/** The page as text; undefined where the subject has none. */
export async function readOwnPage(running: Watch): Promise<string | undefined> {
  const url = /(http:\/\/127\.0\.0\.1:\d+)/.exec(running.log())?.[1];
  if (url === undefined) return undefined;
  const response = await fetch(`${url}/metrics`, { headers: { Accept: "text/plain" } });
  return await response.text();
}
