import { expect, test } from "vitest";
import { accept, RecordingSink } from "../../../test/kit/recording-sink.ts";
import { waitFor } from "../../../test/kit/wait.ts";
import { buildNumbers } from "../../testing/build-points.ts";
import { createTestContext, parseConfig } from "../../testing/test-context.ts";
import type { RemoteWriteExporterConfig } from "./config.ts";
import exporterDefinition from "./prometheus_remote_write.ts";

async function start(url: string, section: object) {
  const config = parseConfig(exporterDefinition, { endpoint: url, ...section }) as RemoteWriteExporterConfig;
  const kit = createTestContext(config, { id: "prometheus_remote_write" });
  const exporter = exporterDefinition.create(kit.context);
  await exporter.start?.();
  const offer = async () =>
    await exporter.metrics?.(buildNumbers([{ name: "sent", value: 1 }], { identities: kit.identities }));
  const counted = (name: string) =>
    kit.meter
      .collect()
      .filter((one) => one.name === name)
      .flatMap(({ samples }) => samples)
      .filter(({ value }) => value > 0)
      .map(({ labels, value }) => [labels["reason"], value]);
  return { exporter, offer, counted, kit };
}

test("what a full queue refuses counts as not queued, not as dropped, and is told once in a while", async () => {
  await using sink = await RecordingSink.start();
  sink.path("/write").respond = () => ({ kind: "hang" });
  const { exporter, offer, counted, kit } = await start(sink.url("/write"), { remote_write_queue: { queue_size: 2 } });
  await offer();
  await offer();
  for (let i = 0; i < 5; i++) await expect(offer()).rejects.toMatchObject({ code: "CONSUME_QUEUE_FULL" });
  expect(counted("otelcol_exporter_enqueue_failed_metric_points")).toEqual([[undefined, 5]]);
  expect(counted("otelcol_exporter_send_failed_metric_points")).toEqual([]);
  expect(counted("exporter_prometheus_remote_write_dropped_samples_total")).toEqual([]);
  expect(kit.log.entries.map(({ level, fields }) => [level, fields["reason"]])).toEqual([["warn", "queue_full"]]);
  await exporter.shutdown?.(AbortSignal.abort());
});

test.each([
  { what: "refuses", status: 400, reason: "rejected" },
  { what: "does not take in time", status: 503, reason: "expired" },
])("metadata that the server $what is counted", async ({ status, reason }) => {
  await using sink = await RecordingSink.start();
  sink.path("/write").respond = ({ message }) => (message.metadata.length > 0 ? { kind: "reply", status } : accept);
  const { exporter, offer, counted, kit } = await start(sink.url("/write"), {
    send_metadata: true,
    retry_on_failure: { enabled: false },
  });
  await offer();
  const name = "exporter_prometheus_remote_write_dropped_metadata_total";
  await waitFor("the count", () => counted(name).length > 0);
  expect(counted(name)).toEqual([[reason, 1]]);
  expect(kit.log.entries.map(({ level, fields }) => [level, fields["reason"]])).toEqual([["warn", reason]]);
  await exporter.shutdown?.(AbortSignal.abort());
});

test("metadata beyond what may wait, and what waits at the end, is counted", async () => {
  await using sink = await RecordingSink.start();
  const path = sink.path("/write");
  path.respond = ({ message }) => (message.metadata.length > 0 ? { kind: "hang" } : accept);
  const { exporter, offer, counted, kit } = await start(sink.url("/write"), { send_metadata: true });
  for (let i = 0; i < 70; i++) await offer();
  const name = "exporter_prometheus_remote_write_dropped_metadata_total";
  expect(counted(name)).toEqual([["queue_full", 6]]);
  expect(kit.log.entries.filter(({ level }) => level === "warn")).toHaveLength(1);
  await exporter.shutdown?.(AbortSignal.abort());
  expect(counted(name)).toEqual([
    ["queue_full", 6],
    ["shutdown", 64],
  ]);
});

test("series and the requests that may be under way are shown under the Collector's names", async () => {
  await using sink = await RecordingSink.start();
  const { exporter, offer, counted } = await start(sink.url("/write"), { remote_write_queue: { num_consumers: 7 } });
  await offer();
  await offer();
  expect(counted("otelcol_exporter_prometheusremotewrite_translated_time_series")).toEqual([[undefined, 2]]);
  expect(counted("otelcol_exporter_prometheusremotewrite_consumers")).toEqual([[undefined, 7]]);
  await exporter.shutdown?.(AbortSignal.timeout(1000));
});
