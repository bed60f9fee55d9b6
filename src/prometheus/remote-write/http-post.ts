/** The HTTP side of remote write: one POST per attempt through a client of the transport layer. */

import type { PostClient, PostTarget } from "../../transport/post-client.ts";
import type { Post, PostAnswer } from "./post-request.ts";

/** Bytes of an error answer that are kept for the message. */
const maxReasonBytes = 1024;

/** Headers of remote write 1.0 (specification "Protocol"). */
export const remoteWriteHeaders: Readonly<Record<string, string>> = {
  "Content-Encoding": "snappy",
  "Content-Type": "application/x-protobuf",
  "X-Prometheus-Remote-Write-Version": "0.1.0",
};

/** `client` is asked anew at each attempt, because a reload may replace it. */
export function createPost(client: () => PostClient, url: URL, headers: Readonly<Record<string, string>>): Post {
  const request = { url, headers: withDefaults(headers), socketPath: undefined };
  let last: { readonly client: PostClient; readonly target: PostTarget } | undefined;
  return async (body, extra, timeoutMs, signal): Promise<PostAnswer> => {
    const current = client();
    if (last?.client !== current) last = { client: current, target: current.target(request) };
    const limits = { maxBytes: maxReasonBytes, timeoutMs };
    const answer = await last.target.post({ body, headers: Object.entries(extra).flat() }, limits, signal);
    const { status, statusText, retryAfter, isSent } = answer;
    const reason = status >= 200 && status < 300 ? "" : firstLine(answer.body);
    return { status, retryAfter, reason: `${statusText}${reason === "" ? "" : `: ${reason}`}`.trim(), isSent };
  };
}

/** The protocol's headers, and those of the entry over them. */
function withDefaults(headers: Readonly<Record<string, string>>): Record<string, string> {
  const given = new Set(Object.keys(headers).map((name) => name.toLowerCase()));
  const defaults = Object.entries(remoteWriteHeaders).filter(([name]) => !given.has(name.toLowerCase()));
  return { ...Object.fromEntries(defaults), ...headers };
}

function firstLine(body: Uint8Array): string {
  return Buffer.from(body).toString("utf8").trim().split("\n")[0]?.trim() ?? "";
}
