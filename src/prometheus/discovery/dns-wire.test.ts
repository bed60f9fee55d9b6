/** The look-up with Node.js' own resolver against a name server on the loopback. */

import { createSocket, type Socket } from "node:dgram";
import { Resolver } from "node:dns/promises";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createDnsProvider } from "./dns.ts";
import { recordingContext } from "./recording-context.ts";

const noError = 0;
const serverFailure = 2;
const noSuchName = 3;

let server: Socket = createSocket("udp4");
let asked: string[] = [];

/** The name of a question and where it ends. */
function readName(query: Buffer): { name: string; end: number } {
  let name = "";
  let at = 12;
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    name += `${query.toString("latin1", at + 1, at + 1 + length)}.`;
    at += 1 + length;
  }
  return { name, end: at + 5 };
}

function encodeName(name: string): Buffer {
  const parts = name.split(".").map((part) => Buffer.concat([Buffer.from([part.length]), Buffer.from(part)]));
  return Buffer.concat(parts);
}

/** One SRV record for the name that was asked for. */
function srvRecord(host: string, port: number): Buffer {
  const target = encodeName(host);
  const head = Buffer.alloc(18);
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(33, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(6 + target.length, 10);
  head.writeUInt16BE(port, 16);
  return Buffer.concat([head, target]);
}

function answer(query: Buffer, end: number, code: number, record?: Buffer): Buffer {
  const head = Buffer.from(query.subarray(0, end));
  head.writeUInt16BE(0x8180 | code, 2);
  head.writeUInt16BE(record === undefined ? 0 : 1, 6);
  head.writeUInt32BE(0, 8);
  return Buffer.concat(record === undefined ? [head] : [head, record]);
}

beforeEach(async () => {
  asked = [];
  server = createSocket("udp4");
  server.on("message", (query, from) => {
    const { name, end } = readName(query);
    asked.push(name);
    const reply =
      name === "_web.two.example."
        ? answer(query, end, noError, srvRecord("host.example.", 9100))
        : answer(query, end, name === "down." ? serverFailure : name === "bare." ? noError : noSuchName);
    server.send(reply, from.port, from.address);
  });
  server.bind(0, "127.0.0.1");
  await once(server, "listening");
});
afterEach(() => {
  server.close();
});

test("answers of a real server are told apart", async () => {
  const { port } = server.address() as AddressInfo;
  const context = recordingContext();
  const names = ["_web", "down.", "bare.", "gone."];
  const config = { kind: "dns", names, type: "SRV", port: 0, refreshIntervalMs: 3_600_000 } as const;
  const done = createDnsProvider(config, {
    createResolver: () => {
      const resolver = new Resolver({ timeout: 1000, tries: 1 });
      resolver.setServers([`127.0.0.1:${port}`]);
      return resolver;
    },
    readResolvConf: () => Promise.resolve("search one.example two.example"),
  })(context);
  const groups = await context.nextUpdate();
  context.abort();
  await done;
  const targets = Object.fromEntries(
    groups.map((group) => [group.source, group.targets.map((target) => target["__address__"])]),
  );
  expect(targets).toEqual({ _web: ["host.example:9100"], "bare.": [], "gone.": [] });
  expect(groups.find(({ source }) => source === "_web")?.targets[0]).toMatchObject({
    __meta_dns_name: "_web",
    __meta_dns_srv_record_target: "host.example.",
  });
  expect(context.logged.map(({ fields }) => fields?.["name"])).toEqual(["down."]);
  expect(asked.filter((name) => name.startsWith("_web"))).toEqual(["_web.one.example.", "_web.two.example."]);
});
