/** Joins OTLP requests of one signal: serialized protobuf messages of one type concatenate. */

import type { OtlpRequest, Signal } from "../../model/otlp-request.ts";

/** One request with everything that is in `requests`; a single one is returned as it is. All must be of `signal`. */
export function joinRequests(signal: Signal, requests: readonly OtlpRequest[]): OtlpRequest {
  const [first] = requests;
  if (first !== undefined && requests.length === 1) return first;
  let items = 0;
  for (const request of requests) items += request.items;
  return { signal, bytes: Buffer.concat(requests.map((request) => request.bytes)), items };
}
