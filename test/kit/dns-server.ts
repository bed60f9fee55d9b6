/** A name server of a test on port 53 of a loopback address, and programs that ask it instead of the machine's own. */

import { execFileSync } from "node:child_process";
import { createSocket } from "node:dgram";
import type { TempFolder } from "./temp.ts";

/** What a name stands for; a name without records does not exist. */
export interface DnsRecords {
  readonly a?: readonly string[];
  readonly srv?: readonly { readonly target: string; readonly port: number }[];
}

const typeA = 1;
const typeSrv = 33;
const classIn = 1;
const noSuchName = 3;
const serverFailure = 2;

/** Answers from `records`, which tests change while it runs. */
export class DnsServer implements AsyncDisposable {
  readonly records = new Map<string, DnsRecords>();
  /** Answers every question with a failure while set. */
  fails = false;
  readonly address: string;
  readonly #socket = createSocket("udp4");

  constructor(address: string) {
    this.address = address;
    this.#socket.on("message", (question, { port, address: from }) => {
      const answer = this.#answer(question);
      if (answer !== undefined) this.#socket.send(answer, port, from);
    });
  }

  static async start(): Promise<DnsServer> {
    const part = () => 1 + Math.floor(Math.random() * 250);
    const server = new DnsServer(`127.${part()}.${part()}.${part()}`);
    await new Promise<void>((resolve, reject) => {
      server.#socket.once("error", reject);
      server.#socket.bind(53, server.address, resolve);
    });
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }

  #answer(question: Buffer): Buffer | undefined {
    const asked = readQuestion(question);
    if (asked === undefined) return undefined;
    const records = this.records.get(asked.name);
    const answers = asked.type === typeSrv ? (records?.srv ?? []).map(srvRecord) : [];
    if (asked.type === typeA) answers.push(...(records?.a ?? []).map(aRecord));
    const code = this.fails ? serverFailure : records === undefined ? noSuchName : 0;
    const header = Buffer.from(question.subarray(0, 12));
    header.writeUInt16BE(0x8180 | code, 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(this.fails ? 0 : answers.length, 6);
    header.writeUInt32BE(0, 8);
    return Buffer.concat([header, question.subarray(12, asked.end), ...(this.fails ? [] : answers)]);
  }
}

function readQuestion(message: Buffer): { name: string; type: number; end: number } | undefined {
  const labels: string[] = [];
  let at = 12;
  for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
    labels.push(message.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  if (at + 5 > message.length) return undefined;
  return { name: labels.join(".").toLowerCase(), type: message.readUInt16BE(at + 1), end: at + 5 };
}

/** An answer to the one question, whose name stands at byte 12. */
function record(type: number, data: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(classIn, 4);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function aRecord(address: string): Buffer {
  return record(typeA, Buffer.from(address.split(".").map(Number)));
}

function srvRecord({ target, port }: { readonly target: string; readonly port: number }): Buffer {
  const head = Buffer.alloc(6);
  head.writeUInt16BE(port, 4);
  const labels = target.split(".").map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  return record(typeSrv, Buffer.concat([head, ...labels, Buffer.from([0])]));
}

/** Why no program here can be made to ask another name server, or undefined. */
export function whyNoNameServer(): string | undefined {
  if (process.getuid?.() !== 0) return "only root can give a process a name server of its own";
  try {
    execFileSync("unshare", ["-m", "mount", "--bind", "/etc/resolv.conf", "/etc/resolv.conf"], { stdio: "pipe" });
    return undefined;
  } catch {
    return "this machine has no mount namespaces";
  }
}

/** The command, asking the server: it sees a resolv.conf of its own. */
export function askingNameServer<C extends { readonly file: string; readonly args: readonly string[] }>(
  command: C,
  server: DnsServer,
  folder: TempFolder,
): C {
  const resolvConf = folder.write("resolv.conf", `nameserver ${server.address}\noptions timeout:1 attempts:1\n`);
  const script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"';
  return { ...command, file: "unshare", args: ["-m", "sh", "-c", script, resolvConf, command.file, ...command.args] };
}
