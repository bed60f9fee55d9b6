/** Sends what waits in a queue on disk to another place: samples by remote write, requests by OTLP over HTTP. */

import { setTimeout as sleep } from "node:timers/promises";
import { type PartialSuccess, readPartialSuccess } from "../component/exporting/partial-success.ts";
import type { Damage } from "../durable/damage.ts";
import { DurableQueue } from "../durable/durable-queue.ts";
import type { ItemCodec } from "../durable/item-codec.ts";
import { RequestCodec, requestKinds } from "../durable/request-codec.ts";
import { SamplesCodec } from "../durable/samples-codec.ts";
import { type SamplesSegment, sliceSamples } from "../model/batch.ts";
import { ConfigError } from "../model/errors.ts";
import { Identities } from "../model/identities.ts";
import type { OtlpRequest } from "../model/otlp-request.ts";
import { RequestEncoder } from "../prometheus/remote-write/encode-request.ts";
import { createPost } from "../prometheus/remote-write/http-post.ts";
import { type Post, postUntilDone } from "../prometheus/remote-write/post-request.ts";
import { translatedOrigin } from "../prometheus/translation/translated-layout.ts";
import { pack } from "../transport/content-coding.ts";
import { createPostClient, type PostClient } from "../transport/post-client.ts";
import { productVersion } from "./version.ts";

export interface ReplayOptions {
  /** A queue, not a directory with queues. */
  readonly directory: string;
  /** A remote-write URL, or the base URL of an OTLP/HTTP server, according to what is in the queue. */
  readonly to: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Takes what was delivered out of the queue; without it everything stays. */
  readonly acknowledge: boolean;
  /** How long a request is repeated before the replay ends. */
  readonly giveUpMs: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Hears of what is damaged. */
  readonly damaged?: ((damage: Damage) => void) | undefined;
  /** Hears of records that cannot be read: they are not sent, and count as done where what was delivered does. */
  readonly lost?: ((records: number, items: number) => void) | undefined;
  /** Hears of items that a server of OTLP refused for good in a request that it took; they count as done too. */
  readonly refused?: ((items: number, message: string) => void) | undefined;
}

export interface Replayed {
  readonly records: number;
  /** Without those that were refused. */
  readonly items: number;
  /** Why it ended before the end of the queue; what was not delivered is still there. */
  readonly failure: string | undefined;
}

type Item = { readonly samples: SamplesSegment } | { readonly request: OtlpRequest };

const attemptMs = 30_000;
const maxAnswerBytes = 64 * 1024;
const maxSamplesPerSend = 10_000;
const maxBytesPerSend = 32 * 1024 * 1024;
/** How long to wait for a record that is being read, at most, before looking again. */
const lookMs = 50;

/** Sends lane after lane, each in its order. Rejects with StorageError where the queue cannot be opened, or is in use. */
export async function replayQueue(options: ReplayOptions, signal: AbortSignal): Promise<Replayed> {
  const identities = new Identities();
  const client = createPostClient({}, { userAgent: `Millrace/${productVersion()}`, env: options.env });
  const queue = await DurableQueue.open<Item>({
    directory: options.directory,
    codec: replayCodec(identities),
    createDirectory: false,
    now: Date.now,
    sleep: (ms) => sleep(ms),
    damaged: options.damaged,
    gaveUp: (_reason, lostRecords, lostItems) => options.lost?.(lostRecords, lostItems),
  });
  let records = 0;
  let items = 0;
  let failure: string | undefined;
  try {
    let wake = () => {};
    queue.begin(() => wake());
    const deliver = createDelivery(options, client, identities, signal);
    for (const { lane } of queue.lanes()) {
      while (failure === undefined && queue.hasMore(lane)) {
        const handed = queue.take(lane);
        if (handed === undefined) {
          const ready = new Promise<void>((resolve) => {
            wake = resolve;
          });
          await Promise.race([ready, sleep(lookMs)]);
          continue;
        }
        const sent = await deliver(handed.item, handed.done);
        if (typeof sent === "string") failure = sent;
        else {
          records++;
          items += sent;
          if (options.acknowledge) await queue.acknowledge([[lane, { sequence: handed.sequence, done: 0 }]]);
        }
      }
    }
  } finally {
    await queue.close();
    await client.close();
  }
  return { records, items, failure };
}

/** Reads records of every kind. */
function replayCodec(identities: Identities): ItemCodec<Item> {
  const samples = new SamplesCodec(identities, translatedOrigin);
  const requests = new RequestCodec();
  const kinds: readonly number[] = Object.values(requestKinds);
  return {
    encode() {
      throw new TypeError("a replay writes no records");
    },
    decode: async (kind, payload, find, lane) =>
      kinds.includes(kind)
        ? { request: await requests.decode(kind, payload) }
        : { samples: await samples.decode(kind, payload, find, lane) },
    memoryBytes: (item) => ("request" in item ? requests.memoryBytes(item.request) : samples.memoryBytes(item.samples)),
  };
}

/** Resolves to the items that were delivered, or to the reason why they were not. */
type Deliver = (item: Item, done: number) => Promise<number | string>;

function createDelivery(
  { to, headers, giveUpMs, refused }: ReplayOptions,
  client: PostClient,
  identities: Identities,
  signal: AbortSignal,
): Deliver {
  const encoder = new RequestEncoder(identities, maxSamplesPerSend);
  const bounds = { samples: maxSamplesPerSend, bytes: maxBytesPerSend };
  const remoteWrite = createPost(() => client, to, headers);
  const policy = {
    enabled: true,
    initialMs: 100,
    maxMs: 5000,
    multiplier: 2,
    randomization: 0,
    maxElapsedMs: giveUpMs,
    retryOn429: true,
  };
  const send = async (post: Post, body: Uint8Array): Promise<string | undefined> => {
    const clock = { now: () => performance.now(), sleep: wait, random: Math.random };
    const parts = { post, policy, timeoutMs: attemptMs, ...clock, retrying: () => {}, stillWanted: () => true };
    const outcome = await postUntilDone(parts, body, signal);
    if (outcome.kind === "delivered") return undefined;
    return outcome.kind === "aborted" ? "stopped" : outcome.reason;
  };
  return async (item, done) => {
    if ("request" in item) {
      const { request } = item;
      let partial: PartialSuccess = { rejectedItems: 0, message: "" };
      const post = otlpPost(client, otlpUrl(to, request), headers, (answer) => {
        partial = readPartialSuccess(answer);
      });
      const failure = await send(post, pack("gzip", request.bytes));
      if (failure !== undefined) return failure;
      const { rejectedItems, message } = partial;
      if (rejectedItems > 0) refused?.(rejectedItems, message);
      return Math.max(0, request.items - rejectedItems);
    }
    const { samples } = item;
    let from = done;
    const rows = samples.to - samples.from;
    while (from < rows) {
      encoder.begin();
      const part = from === 0 ? samples : sliceSamples(samples, from, rows);
      const rest = encoder.add(part, bounds, part.exemplars ?? []);
      const failure = await send(remoteWrite, encoder.finish().body);
      if (failure !== undefined) return failure;
      from = rest === undefined ? rows : rows - (rest.to - rest.from);
    }
    return rows - done;
  };
}

async function wait(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}

/** The URL of a signal below a base, or the URL itself where it names the signal already. */
function otlpUrl(to: URL, { signal }: OtlpRequest): URL {
  const path = `/v1/${signal}`;
  if (to.pathname.endsWith(path)) return to;
  const url = new URL(to);
  url.pathname = `${to.pathname.replace(/\/$/, "")}${path}`;
  return url;
}

/** `taken` gets the body of the answer to a request that the server took. */
function otlpPost(
  client: PostClient,
  url: URL,
  headers: Readonly<Record<string, string>>,
  taken: (answer: Uint8Array) => void,
): Post {
  const own = { "Content-Type": "application/x-protobuf", "Content-Encoding": "gzip", ...headers };
  const target = client.target({ url, headers: own, socketPath: undefined });
  return async (body, extra, timeoutMs, signal) => {
    const answer = await target.post(
      { body, headers: Object.entries(extra).flat() },
      { maxBytes: maxAnswerBytes, timeoutMs },
      signal,
    );
    if (answer.status === 200 && answer.isWhole) taken(answer.body);
    return { status: answer.status, retryAfter: answer.retryAfter, reason: answer.statusText };
  };
}

/** Throws ConfigError for what is no http or https URL. */
export function parseReplayUrl(text: string): URL {
  const url = URL.parse(text);
  if (url !== null && /^https?:$/.test(url.protocol)) return url;
  throw new ConfigError([{ path: "--to", message: "expected an http or https URL" }]);
}
