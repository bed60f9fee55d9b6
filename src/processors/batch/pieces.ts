/** What batches are made of while they are collected: segments of metrics, requests of spans and log records. */

import { joinRequests } from "../../codec/otlp/join-requests.ts";
import { splitRequest } from "../../codec/otlp/split-request.ts";
import { type AnyBatch, logsBatch, tracesBatch } from "../../model/any-batch.ts";
import { type MetricsSegment, metricsBatch } from "../../model/batch.ts";
import type { ClientInfo } from "../../model/client-info.ts";
import type { OtlpRequest, Signal } from "../../model/otlp-request.ts";
import { splitSegment } from "./split-segment.ts";

export type Piece = MetricsSegment | OtlpRequest;

/** The pieces of a batch that hold anything, none of them unopened and above `maxItems`. */
export function piecesOf(batch: AnyBatch, maxItems: number): Piece[] {
  const pieces: readonly Piece[] = batch.signal === "metrics" ? batch.segments : batch.requests;
  const found: Piece[] = [];
  // For every request: `flatMap` took a twentieth of all that it cost.
  for (const piece of pieces) {
    const items = itemsOf(piece);
    if (items === 0) continue;
    if (items <= maxItems || !isUnopened(piece)) found.push(piece);
    // At once: cutting a part off again and again would copy the rest each time.
    else for (const request of splitRequest(requestOf(piece), { maxItems })) found.push(pieceLike(piece, request));
  }
  return found;
}

/** Points, samples, spans or log records of a piece. */
export function itemsOf(piece: Piece): number {
  return "form" in piece ? piece.to - piece.from : piece.items;
}

/** The batch of these pieces, which are all of the signal; `client` is what they have in common. */
export function joinPieces(signal: Signal, pieces: readonly Piece[], client?: ClientInfo): AnyBatch {
  if (signal === "metrics") return metricsBatch(pieces as readonly MetricsSegment[], client);
  const requests = pieces as readonly OtlpRequest[];
  return signal === "traces" ? tracesBatch(requests, client) : logsBatch(requests, client);
}

/**
 * The first items of a piece, at most `maxItems`, and the rest. With `mustTake` there is a first part even when it is
 * larger, because it cannot be cut.
 */
export function splitPiece(piece: Piece, maxItems: number, mustTake: boolean): [head?: Piece, tail?: Piece] {
  if ("form" in piece && piece.form !== "otlp") return splitSegment(piece, maxItems, mustTake);
  const room = mustTake ? Math.max(1, maxItems) : maxItems;
  if (room <= 0) return [undefined, piece];
  const whole = requestOf(piece);
  const [first, ...rest] = splitRequest(whole, { maxItems: room });
  if (first === undefined || rest.length === 0) return [piece, undefined];
  return [pieceLike(piece, first), pieceLike(piece, joinRequests(whole.signal, rest))];
}

type Unopened = OtlpRequest | Extract<MetricsSegment, { form: "otlp" }>;

function isUnopened(piece: Piece): piece is Unopened {
  return !("form" in piece) || piece.form === "otlp";
}

function requestOf(piece: Unopened): OtlpRequest {
  return "form" in piece ? piece.request : piece;
}

function pieceLike(piece: Unopened, request: OtlpRequest): Piece {
  return "form" in piece ? piece.withRequest(request) : request;
}
