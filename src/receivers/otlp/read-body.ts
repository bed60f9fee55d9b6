/** Reads the body of a request within its own limit and within the bound of all requests under way. */

import type { IncomingMessage } from "node:http";
import { BodyCollector } from "../../transport/body-collector.ts";
import type { ByteBudget } from "../../transport/byte-budget.ts";
import { GrpcError, grpcCodes } from "../../transport/grpc-status.ts";
import { releaseChunk } from "../../transport/release-chunk.ts";

/** What a request holds of the budget; whoever made it gives it back. */
export interface BudgetHold {
  readonly budget: ByteBudget;
  bytes: number;
}

/** The body, in memory of its own. Rejects with GrpcError, and with the error of the connection when it ends before the body. */
export function readBody(request: IncomingMessage, hold: BudgetHold, maxBytes: number): Promise<Buffer> {
  const header = request.headers["content-length"];
  const declared = header === undefined ? undefined : Number(header);
  if (declared !== undefined && declared > maxBytes) return Promise.reject(tooLarge(maxBytes));
  return new Promise((resolve, reject) => {
    const body = new BodyCollector(declared);
    const stop = (error: Error) => {
      request.off("data", take);
      reject(error);
    };
    const take = (chunk: Buffer) => {
      if (body.size + chunk.length > maxBytes) {
        stop(tooLarge(maxBytes));
      } else if (hold.budget.take(chunk.length)) {
        hold.bytes += chunk.length;
        body.add(chunk);
        releaseChunk(chunk);
      } else {
        stop(tooMuch());
      }
    };
    const cut = () => reject(new Error("the connection ended before the body"));
    request.on("data", take);
    request.once("error", reject);
    request.once("close", cut);
    request.once("end", () => {
      request.off("close", cut);
      resolve(body.take());
    });
  });
}

function tooLarge(maxBytes: number): GrpcError {
  return new GrpcError(grpcCodes.RESOURCE_EXHAUSTED, `the body has more than ${maxBytes} bytes`);
}

function tooMuch(): GrpcError {
  return new GrpcError(grpcCodes.RESOURCE_EXHAUSTED, "too many requests under way", { retryAfterMs: 1000 });
}
