import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { childNode, plainValue } from "../../src/codec/yaml/config-node.ts";
import { parseYaml } from "../../src/codec/yaml/parse-yaml.ts";
import type { AnyDefinition } from "../../src/component/define.ts";
import { decodeWithSchema } from "../../src/config/zod-issues.ts";
import { Registry } from "../../src/registry.ts";
import { type ContractOptions, contractTests } from "../../src/testing/contract.ts";
import { startOtlpGrpcServer } from "../support/otlp-grpc-server.ts";
import { numbersOf, startOtlpSink } from "./otlp-sink.ts";
import { startRemoteWriteSink } from "./remote-write-sink.ts";

const folder = mkdtempSync(join(tmpdir(), "millrace-contract-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const remoteWrite = await startRemoteWriteSink();
afterAll(() => remoteWrite.close());

const otlp = await startOtlpSink();
afterAll(() => otlp.close());

const otlpGrpc = await startOtlpGrpcServer();
afterAll(() => otlpGrpc.close());

// What another rule has sent is no part of what this one looks for.
beforeEach(() => {
  remoteWrite.takeValues();
  for (const signal of ["metrics", "traces", "logs"] as const) otlp.takeValues(signal);
  otlpGrpc.takeReceived();
});

/** What some components need to run here: loopback, free ports, temporary files. */
const special: Readonly<Record<string, (options: ContractOptions) => ContractOptions>> = {
  // The example chooses metrics by their names, which is not possible in the pipelines of other signals.
  "processor attributes": (options) => ({
    ...options,
    config: { actions: [{ key: "environment", value: "production", action: "insert" }] },
  }),
  "extension health_check": (options) => ({ ...options, config: { endpoint: "127.0.0.1:0" } }),
  "receiver otlp": (options) => ({
    ...options,
    config: { protocols: { grpc: { endpoint: "127.0.0.1:0" }, http: { endpoint: "127.0.0.1:0" } } },
  }),
  "exporter prometheus_remote_write": (options) => ({
    ...options,
    config: { endpoint: remoteWrite.url },
    delivered: () => remoteWrite.takeValues(),
  }),
  "exporter otlp_http": (options) => ({
    ...options,
    config: { endpoint: otlp.url },
    delivered: (signal) => otlp.takeValues(signal),
  }),
  "exporter otlp_grpc": (options) => ({
    ...options,
    config: { endpoint: `127.0.0.1:${otlpGrpc.port}`, tls: { insecure: true } },
    delivered: () => otlpGrpc.takeReceived().flatMap(({ signal, bytes }) => numbersOf(signal, bytes)),
  }),
  "exporter file": (options) => {
    const path = join(folder, "contract.json");
    const delivered = () => {
      const text = readFileSync(path, "utf8");
      return [...text.matchAll(/"asDouble":([0-9]+)|item-([0-9]+)\./g)].map((match) => Number(match[1] ?? match[2]));
    };
    return { ...options, config: { path }, delivered };
  },
};

/** The section of the example beside the component, which is the section itself or a piece of a whole configuration. */
function exampleNode(definition: AnyDefinition) {
  const { kind, type } = definition;
  const url = new URL(`../../src/${kind}s/${type}/example.yaml`, import.meta.url);
  if (!existsSync(url)) throw new Error(`src/${kind}s/${type}/example.yaml is missing`);
  const { root, issues } = parseYaml(readFileSync(url, "utf8"), "example.yaml");
  if (issues.length > 0) throw new Error(JSON.stringify(issues));
  const section = childNode(childNode(root, `${kind}s`), type) ?? root;
  if (section === undefined) throw new Error(`src/${kind}s/${type}/example.yaml is empty`);
  return section;
}

const definitions = await Promise.all(new Registry().all.map((entry) => entry.load()));

describe.each(definitions.map((definition) => [`${definition.kind} ${definition.type}`, definition] as const))(
  "%s",
  (name, definition) => {
    const node = exampleNode(definition);
    const example = plainValue(node);
    const options = special[name]?.({ example }) ?? { example };

    test.each(contractTests(definition, options))("$title", ({ run }) => run());

    test("its example is taken by the loader of configurations", () => {
      const { issues } = decodeWithSchema(definition.config, node, [`${definition.kind}s`, definition.type]);
      expect(issues).toEqual([]);
    });
  },
);
