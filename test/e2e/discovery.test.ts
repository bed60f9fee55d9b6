/** Targets that come, change and go by files, HTTP and DNS: scraped from then on, stale from then on. */

import { renameSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { CountingTargets } from "../kit/counting-targets.ts";
import { askingNameServer, DnsServer, whyNoNameServer } from "../kit/dns-server.ts";
import { readOwnMetrics, readTargets } from "../kit/own-metrics.ts";
import { PageExporter } from "../kit/page-exporter.ts";
import { startProcess } from "../kit/processes.ts";
import { RecordingSink, type SinkPath } from "../kit/recording-sink.ts";
import { staleBits } from "../kit/remote-write-message.ts";
import { agentCommand, agentReady, startMillraceAgent } from "../kit/subjects.ts";
import { createTempFolder, type TempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";

const global = { scrape_interval: "300ms", scrape_timeout: "300ms" };
const names = ["a", "b", "c"];

/** A target by the label that says its page. */
interface Group {
  readonly targets: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

async function startWorld(title: string) {
  const folder = createTempFolder(title);
  const sink = await RecordingSink.start();
  const exporter = await PageExporter.start(1000);
  const targets = new CountingTargets(exporter, names);
  const group = (name: string, labels: Record<string, string> = {}): Group => ({
    targets: [exporter.address],
    labels: { __metrics_path__: `/${name}`, page: name, ...labels },
  });
  const config = (discovery: object) =>
    folder.write(
      "prometheus.yml",
      stringify({
        global,
        remote_write: [{ url: sink.url("/write"), queue_config: { batch_send_deadline: "20ms" } }],
        scrape_configs: [{ job_name: "found", ...discovery }],
      }),
    );
  const path = sink.path("/write");
  return {
    folder,
    sink: path,
    exporter,
    targets,
    group,
    config,
    scrapedAgain: async (...wanted: string[]) => {
      const before = wanted.map((name) => targets.served(name));
      await waitFor(`${wanted} to be scraped`, () =>
        wanted.every((name, i) => targets.served(name) >= (before[i] ?? 0) + 2),
      );
    },
    async [Symbol.asyncDispose]() {
      await exporter.close();
      await sink.close();
      folder[Symbol.dispose]();
    },
  };
}

/** Waits until every series with the labels has ended, each with one marker behind all its values. */
async function expectEnd(sink: SinkPath, labels: Record<string, string>): Promise<void> {
  const series = () => sink.find(labels).map(({ samples }) => samples.findIndex(({ bits }) => bits === staleBits));
  await waitFor(`${JSON.stringify(labels)} to go stale`, () => series().every((at) => at >= 0));
  expect(sink.find(labels).map(({ samples }) => samples.length - 1)).toEqual(series());
  // One counting series and five of the scrape.
  expect(series()).toHaveLength(6);
}

function markers(sink: SinkPath, labels: Record<string, string>): number {
  return sink.find(labels).filter(({ samples }) => samples.some(({ bits }) => bits === staleBits)).length;
}

describe("discovery by files", () => {
  it("follows files that change, come, break and go", async () => {
    await using world = await startWorld("file-sd");
    const { folder, sink, group, targets, scrapedAgain } = world;
    const write = (name: string, ...groups: Group[]) => folder.write(name, JSON.stringify(groups));
    write("one.json", group("a"));
    const file = world.config({ file_sd_configs: [{ files: [folder.file("*.json"), folder.file("named.yml")] }] });
    await using agent = await startMillraceAgent(folder, file);
    await scrapedAgain("a");
    expect(targets.served("b")).toBe(0);

    folder.write("named.yml", stringify([group("b")]));
    write("two.json", group("c"));
    await scrapedAgain("a", "b", "c");

    folder.write("one.json", "[{");
    await waitFor("the broken file to be counted", async () => {
      return (await readOwnMetrics(agent.url)).sum("prometheus_sd_file_read_errors_total") > 0;
    });
    await scrapedAgain("a", "b", "c");

    // A new label makes new series of the same target.
    write("one.json", group("a", { tier: "2" }));
    await sink.waitForSample({ __name__: "up", page: "a", tier: "2" });
    await expectEnd(sink, { page: "a", tier: "" });

    // Replaced in one step, as tools do it.
    renameSync(write("two.json.new"), folder.file("two.json"));
    await expectEnd(sink, { page: "c" });
    const served = targets.served("c");
    await scrapedAgain("a", "b");
    expect(targets.served("c")).toBe(served);
    expect(markers(sink, { page: "b" }) + markers(sink, { tier: "2" })).toBe(0);
    expect((await readTargets(agent.url)).map(({ labels }) => labels["page"]).sort()).toEqual(["a", "b"]);
    expect(await agent.process.stop()).toEqual({ code: 0, signal: null });
    expect(targets.lost(sink)).toEqual([]);
  });
});

describe("discovery by HTTP", () => {
  it("follows the answer and keeps the targets while there is none", async () => {
    await using world = await startWorld("http-sd");
    const { folder, sink, group, targets, scrapedAgain } = world;
    let groups: readonly Group[] = [group("a"), group("b")];
    let status = 200;
    const asked: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      asked.push(request.headers.authorization, String(request.headers["x-prometheus-refresh-interval-seconds"]));
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(groups));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/targets`;
      const http = { url, refresh_interval: "1s", basic_auth: { username: "u", password: "p" } };
      await using agent = await startMillraceAgent(folder, world.config({ http_sd_configs: [http] }));
      await scrapedAgain("a", "b");
      expect(asked.slice(0, 2)).toEqual([`Basic ${btoa("u:p")}`, "1"]);
      status = 500;
      groups = [group("c")];
      await waitFor("the failure to be counted", async () => {
        return (await readOwnMetrics(agent.url)).sum("prometheus_sd_http_failures_total") > 0;
      });
      await scrapedAgain("a", "b");
      status = 200;
      groups = [group("b"), group("c")];
      await scrapedAgain("b", "c");
      await expectEnd(sink, { page: "a" });
      expect(markers(sink, { page: "b" })).toBe(0);
      expect(await agent.process.stop()).toEqual({ code: 0, signal: null });
      expect(targets.lost(sink)).toEqual([]);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});

const noNameServer = whyNoNameServer();

describe.skipIf(noNameServer !== undefined)(
  `discovery by DNS${noNameServer === undefined ? "" : ` (skipped: ${noNameServer})`}`,
  () => {
    it("follows A and SRV records and keeps the targets while the server fails", async () => {
      await using world = await startWorld("dns-sd");
      await using dns = await DnsServer.start();
      const { folder, sink, exporter, scrapedAgain } = world;
      const srv = (...targets: string[]) => ({ srv: targets.map((target) => ({ target, port: exporter.port })) });
      dns.records.set("plain.example", { a: ["127.0.0.1"] });
      dns.records.set("_srv.example", srv("one.example", "two.example"));
      for (const name of ["one.example", "two.example"]) dns.records.set(name, { a: ["127.0.0.1"] });
      const sd = (name: string, type: string) => ({
        names: [name],
        type,
        refresh_interval: "1s",
        ...(type === "A" ? { port: exporter.port } : {}),
      });
      const file = world.config({
        dns_sd_configs: [sd("plain.example", "A"), sd("_srv.example", "SRV")],
        relabel_configs: [
          { source_labels: ["__meta_dns_name"], target_label: "name" },
          { source_labels: ["__meta_dns_srv_record_target"], target_label: "page" },
          { source_labels: ["name"], regex: "plain.example", target_label: "page", replacement: "a" },
          { source_labels: ["page"], regex: "one.example.", target_label: "page", replacement: "b" },
          { source_labels: ["page"], regex: "two.example.", target_label: "page", replacement: "c" },
          { source_labels: ["page"], target_label: "__metrics_path__", replacement: "/$1" },
        ],
      });
      await using agent = await startAsking(folder, file, dns);
      await scrapedAgain("a", "b", "c");
      dns.fails = true;
      await waitFor("the failure to be counted", async () => {
        return (await readOwnMetrics(agent.url)).sum("prometheus_sd_dns_lookup_failures_total") > 0;
      });
      await scrapedAgain("a");
      dns.fails = false;
      dns.records.set("_srv.example", srv("two.example"));
      await expectEnd(sink, { page: "b" });
      // A name that does not exist has no targets.
      dns.records.delete("plain.example");
      await expectEnd(sink, { page: "a" });
      await scrapedAgain("c");
      expect(markers(sink, { page: "c" })).toBe(0);
    });
  },
);

async function startAsking(folder: TempFolder, file: string, dns: DnsServer) {
  const { process: started, match } = await startProcess(
    askingNameServer(agentCommand(folder, file), dns, folder),
    agentReady,
  );
  return { process: started, url: match[1] ?? "", [Symbol.asyncDispose]: () => started[Symbol.asyncDispose]() };
}
