/** An exporter with a queue on forgetful files and a server that answers as it is told, for tests of what ends of the process leave. */

import { setImmediate as turn } from "node:timers/promises";
import { z } from "zod";
import { nodeFromValue } from "../../src/codec/yaml/parse-yaml.ts";
import { completeExporting, exportingFields } from "../../src/component/exporting/config.ts";
import { createExporting } from "../../src/component/exporting/exporting.ts";
import type { QueueRequest, QueueStorage } from "../../src/component/queue-storage.ts";
import { DurableQueue } from "../../src/durable/durable-queue.ts";
import type { ForgetfulFiles } from "../../src/durable/test-forgetful-files.ts";
import { ConsumeError } from "../../src/model/errors.ts";
import type { Signal } from "../../src/model/otlp-request.ts";
import { buildTraces } from "../../src/testing/build-otlp.ts";
import { buildSamples } from "../../src/testing/build-samples.ts";
import { createFakeClock } from "../../src/testing/fake-clock.ts";
import { createTestContext } from "../../src/testing/test-context.ts";

const schema = z.strictObject(exportingFields({ timeoutMs: 5000 }));

/** As `complete` of an exporter leaves it. */
function parse(section: object) {
  const issue = () => {};
  const node = nodeFromValue(section);
  return completeExporting(schema.parse(section), { node, path: [], env: {}, issue, notice: issue });
}

/** Queues in files that outlive a process, shared as the extension shares them. */
export function createStorage(
  files: ForgetfulFiles,
  {
    maxBytes,
    fsync = false,
    now = Date.now,
  }: { readonly maxBytes?: number; readonly fsync?: boolean; readonly now?: () => number } = {},
): QueueStorage & { readonly users: () => number } {
  let users = 0;
  let opening: Promise<DurableQueue<unknown>> | undefined;
  return {
    users: () => users,
    async openQueue<T>({ codec, damaged, gaveUp }: QueueRequest<T>) {
      opening ??= DurableQueue.open<T>({
        directory: "/queue",
        codec,
        maxBytes,
        fsync,
        segmentBytes: 4096,
        minFreeBytes: 0,
        now,
        sleep: async () => await turn(),
        files: files.process(),
        lock: async () => ({ release: () => {} }),
        damaged,
        gaveUp,
      }) as Promise<DurableQueue<unknown>>;
      users++;
      const queue = (await opening) as DurableQueue<T>;
      return {
        queue,
        directory: "/queue",
        isShared: () => users > 1,
        async release() {
          if (--users === 0) await queue.close();
        },
      };
    },
  };
}

export type Answer = "take" | "fail" | "reject";

/** An exporter with a server that answers as it is told; a new one each time the process starts. */
export async function startExporter(
  storage: QueueStorage,
  answer: (names: readonly string[]) => Answer | Promise<Answer>,
  section: { readonly sending_queue?: object; readonly retry_on_failure?: object } = {},
  options: { readonly after?: Promise<void>; readonly maxBytes?: number; readonly signal?: Signal } = {},
) {
  const clock = createFakeClock();
  const kit = createTestContext({}, { id: "out", clock });
  kit.host.extensions.set("file_storage", storage);
  const config = parse({ ...section, sending_queue: { storage: "file_storage", ...section.sending_queue } });
  const delivered: string[] = [];
  let attempts = 0;
  let isDead = false;
  const exporting = createExporting(
    { ...kit.context, signals: [options.signal ?? "traces"], after: options.after },
    config,
    {
      maxBytes: options.maxBytes ?? Number.POSITIVE_INFINITY,
      random: () => 0.5,
      async send({ requests }) {
        attempts++;
        await turn();
        const names = requests.flatMap(
          ({ bytes }) =>
            Buffer.from(bytes)
              .toString("latin1")
              .match(/item-\d+\./g) ?? [],
        );
        const said = await answer(names);
        if (said !== "take") {
          throw new ConsumeError("CONSUME_REFUSED", "the server refuses", { permanent: said === "reject" });
        }
        if (isDead) await new Promise(() => {});
        delivered.push(...names.map((name) => name.slice(5, -1)));
        return { rejectedItems: 0 };
      },
    },
  );
  await exporting.start();
  const offer = async (from: number, to = from + 1, service = "a") => {
    const resource = { "service.name": service };
    await exporting.traces(
      buildTraces(Array.from({ length: to - from }, (_, i) => ({ name: `item-${from + i}.`, resource }))),
    );
  };
  /** Samples of a page, one after another in `lane`, which changes with the target's interval and address. */
  const offerScraped = async (from: number, to: number, lane: number) => {
    for (let i = from; i < to; i++) {
      await exporting.metrics(buildSamples([{ name: "n", labels: { n: `item-${i}.` }, value: i }], { lane }));
    }
  };
  const until = async (isTrue: () => boolean) => {
    for (let i = 0; !isTrue(); i++) {
      if (i > 5000) throw new Error("it does not come");
      await turn();
      if (i % 10 === 9) await clock.advance(10);
    }
  };
  const metric = (name: string) =>
    kit.meter
      .collect()
      .filter((one) => one.name === name)
      .flatMap(({ samples }) => samples)
      .reduce((sum, { value }) => sum + value, 0);
  const stop = () => exporting.shutdown(AbortSignal.timeout(1000));
  /** The process ends here and now; the files are told by whoever calls. */
  const die = () => {
    isDead = true;
  };
  return {
    exporting,
    offer,
    offerScraped,
    until,
    stop,
    die,
    metric,
    clock,
    delivered,
    attempts: () => attempts,
    log: kit.log,
  };
}
