/** Reads whole bodies: into a buffer that is used again, or into any sink, never beyond a limit. */

import { GrowableBuffer } from "./growable-buffer.ts";
import type { HttpResponse } from "./http-messages.ts";
import type { BodySink } from "./response-body.ts";

/** Feeds the body to the sink. A body of more than `maxBytes` bytes is given up, its connection closed. */
export async function readBody(
  response: HttpResponse,
  sink: BodySink,
  maxBytes: number,
): Promise<"complete" | "stopped" | "too-large"> {
  let left = maxBytes;
  const announced = announcedBytes(response);
  if (announced !== undefined && announced > maxBytes) {
    await response.body.consume({ write: () => false });
    return "too-large";
  }
  const complete = await response.body.consume({
    write: (chunk) => {
      left -= chunk.length;
      return left >= 0 && sink.write(chunk);
    },
  });
  return complete ? "complete" : left < 0 ? "too-large" : "stopped";
}

/**
 * The whole body, at most `maxBytes` bytes. With `into` the result is a view of that buffer, valid until it is used
 * again; a body that is too large leaves it half filled.
 */
export async function collectBody(
  response: HttpResponse,
  options: { readonly maxBytes: number; readonly into?: GrowableBuffer | undefined },
): Promise<Uint8Array | "too-large"> {
  const announced = announcedBytes(response) ?? 0;
  const into = options.into ?? new GrowableBuffer(Math.min(announced, options.maxBytes));
  into.reset();
  let left = options.maxBytes;
  if (announced <= left) {
    into.reserve(Math.min(announced, maxTrustedBytes));
  } else {
    left = -1;
  }
  const complete = await response.body.consume({
    write: (chunk) => {
      left -= chunk.length;
      if (left < 0) {
        return false;
      }
      into.append(chunk);
      return true;
    },
  });
  return complete ? into.bytes : "too-large";
}

/** A header of a few bytes must not allocate gigabytes; what is really sent may grow the buffer further. */
const maxTrustedBytes = 4 * 1024 * 1024;

function announcedBytes(response: HttpResponse): number | undefined {
  const header = response.headers["content-length"];
  if (typeof header !== "string" || !/^\d{1,15}$/.test(header)) {
    return undefined;
  }
  return Number(header);
}
