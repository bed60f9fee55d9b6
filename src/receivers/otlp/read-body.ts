/** Reads the body of a request within its own limit and within the bound of all requests under way. */

import type { IncomingMessage } from "node:http";
import type { ByteBudget } from "../../transport/byte-budget.ts";
import { GrowableBuffer } from "../../transport/growable-buffer.ts";
import { GrpcError, grpcCodes } from "../../transport/grpc-status.ts";

/** What a request holds of the budget; whoever made it gives it back. */
export interface BudgetHold {
  readonly budget: ByteBudget;
  bytes: number;
}

const pooledBytes = 4096;
const maxChunks = 256;

/** The body, in memory of its own. Rejects with GrpcError, and with the error of the connection when it ends before the body. */
export function readBody(request: IncomingMessage, hold: BudgetHold, maxBytes: number): Promise<Buffer> {
  const declared = Number(request.headers["content-length"] ?? 0);
  if (declared > maxBytes) return Promise.reject(tooLarge(maxBytes));
  return new Promise((resolve, reject) => {
    const body = new BodyParts();
    const stop = (error: Error) => {
      request.off("data", take);
      body.clear();
      reject(error);
    };
    const take = (chunk: Buffer) => {
      if (body.size + chunk.length > maxBytes) {
        stop(tooLarge(maxBytes));
      } else if (hold.budget.take(chunk.length)) {
        hold.bytes += chunk.length;
        body.add(chunk);
      } else {
        stop(tooMuch());
      }
    };
    request.on("data", take);
    request.once("end", () => resolve(body.join()));
    request.once("error", reject);
    request.once("close", () => reject(new Error("the connection ended before the body")));
  });
}

class BodyParts {
  size = 0;
  #chunks: Buffer[] = [];
  #merged: GrowableBuffer | undefined;

  add(chunk: Buffer): void {
    this.size += chunk.length;
    this.#chunks.push(chunk);
    if (this.#chunks.length < maxChunks) return;
    // A body that drips byte by byte would hold a hundred times its size.
    this.#merged ??= new GrowableBuffer();
    for (const part of this.#chunks) this.#merged.append(part);
    this.#chunks = [];
  }

  clear(): void {
    this.#chunks = [];
    this.#merged = undefined;
  }

  /** All of it, copied: chunks are parts of read buffers many times their size. */
  join(): Buffer {
    const body = this.size <= pooledBytes ? Buffer.allocUnsafe(this.size) : Buffer.allocUnsafeSlow(this.size);
    let at = 0;
    for (const part of this.#merged === undefined ? this.#chunks : [this.#merged.bytes, ...this.#chunks]) {
      body.set(part, at);
      at += part.length;
    }
    return body;
  }
}

function tooLarge(maxBytes: number): GrpcError {
  return new GrpcError(grpcCodes.RESOURCE_EXHAUSTED, `the body has more than ${maxBytes} bytes`);
}

function tooMuch(): GrpcError {
  return new GrpcError(grpcCodes.RESOURCE_EXHAUSTED, "too many requests under way", { retryAfterMs: 1000 });
}
