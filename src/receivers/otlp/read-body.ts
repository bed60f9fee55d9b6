/** Takes the body of a request within its own limit and within the bound of all requests under way. */

import { BodyCollector } from "../../transport/body-collector.ts";
import type { ByteBudget } from "../../transport/byte-budget.ts";
import { GrpcError, grpcCodes } from "../../transport/grpc-status.ts";

/** The body of one request. Whoever made it gives back what it holds. */
export class LimitedBody {
  readonly #budget: ByteBudget;
  readonly #maxBytes: number;
  readonly #collector: BodyCollector;
  #heldBytes = 0;

  /** `declaredBytes` is -1 where the length is not told. Throws GrpcError where it is above the limit. */
  constructor(budget: ByteBudget, maxBytes: number, declaredBytes: number) {
    if (declaredBytes > maxBytes) throw tooLarge(maxBytes);
    this.#budget = budget;
    this.#maxBytes = maxBytes;
    this.#collector = new BodyCollector(declaredBytes < 0 ? undefined : declaredBytes);
  }

  /** Copies the part. Throws GrpcError beyond a limit. */
  add(part: Buffer): void {
    if (this.#collector.size + part.length > this.#maxBytes) throw tooLarge(this.#maxBytes);
    this.hold(part.length);
    this.#collector.add(part);
  }

  /** Counts memory that belongs to the request beside what came. Throws GrpcError where there is not so much. */
  hold(bytes: number): void {
    if (!this.#budget.take(bytes)) {
      throw new GrpcError(grpcCodes.RESOURCE_EXHAUSTED, "too many requests under way", { retryAfterMs: 1000 });
    }
    this.#heldBytes += bytes;
  }

  /** All of it, once, in memory of its own. */
  take(): Buffer {
    return this.#collector.take();
  }

  /** Gives back what it holds of the bound. */
  release(): void {
    this.#budget.give(this.#heldBytes);
    this.#heldBytes = 0;
  }
}

function tooLarge(maxBytes: number): GrpcError {
  return new GrpcError(grpcCodes.RESOURCE_EXHAUSTED, `the body has more than ${maxBytes} bytes`);
}
