/** The HTTP side of remote write: one POST per attempt through a client of the transport layer. */

import type { HttpClient } from "../../transport/http-client.ts";
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
export function createPost(client: () => HttpClient, url: URL, headers: Readonly<Record<string, string>>): Post {
  return async (body, extra, signal): Promise<PostAnswer> => {
    const response = await client().request({
      method: "POST",
      url,
      headers: { ...remoteWriteHeaders, ...headers, ...extra },
      body,
      keepMethod: true,
      signal,
    });
    const retryAfter = response.headers["retry-after"];
    const reason = response.status >= 200 && response.status < 300 ? "" : await readReason(response.body);
    if (reason === "") await response.body.dump();
    return {
      status: response.status,
      retryAfter: Array.isArray(retryAfter) ? retryAfter[0] : retryAfter,
      reason: `${response.statusText}${reason === "" ? "" : `: ${reason}`}`.trim(),
    };
  };
}

/** The first line of the body. A body that breaks or hangs changes nothing: the status is the answer. */
async function readReason(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let left = maxReasonBytes;
  try {
    for await (const chunk of body) {
      chunks.push(chunk.subarray(0, left));
      left -= chunk.length;
      if (left <= 0) break;
    }
  } catch {
    // What came of it is the reason.
  }
  return Buffer.concat(chunks).toString("utf8").trim().split("\n")[0]?.trim() ?? "";
}
