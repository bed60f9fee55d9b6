/** An exporter of many targets whose pages follow the wall clock, and that logs what it served to whom. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { gzipSync } from "node:zlib";

/** What a target answers in one slot. */
export interface Page {
  readonly body: string | Uint8Array;
  readonly status?: number;
  /** Left out: text format 0.0.4. Empty: no such header. */
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Compressed when the scraper accepts it. */
  readonly gzip?: boolean;
  /** Written in pieces of this many bytes, without a length. */
  readonly chunkBytes?: number;
}

/** A target that writes its answer itself, for faults of the connection. */
export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** What a target does in a slot: a page, an answer of its own, or nothing but closing the connection. */
export type Served = Page | Handler | "reset";

/** A target: what it serves in a slot; slots before 0 are of the time before the scenario begins. */
export type Target = (slot: number, slotStartMs: number) => Served;

/** Tells apart scrapers of one program. */
export const scraperHeader = "x-scraper";

/** Keys of a job whose requests say which scraper they come from. */
export function namedScraper(name: string) {
  return { http_headers: { [scraperHeader]: { values: [name] } } };
}

/** One request that was answered. */
export interface ServedEntry {
  readonly target: string;
  /** First word of User-Agent before the slash, or what `scraperHeader` says. */
  readonly scraper: string;
  readonly slot: number;
  readonly arrivedMs: number;
  readonly headers: IncomingMessage["headers"];
  readonly url: string;
}

/** Serves each target under `/<name>`. */
export class PageExporter implements AsyncDisposable {
  readonly log: ServedEntry[] = [];
  readonly #targets = new Map<string, Target>();
  readonly #sockets = new Set<Socket>();
  readonly #slotMs: number;
  #server: Server;
  #port = 0;
  /** Start of slot 0 by target; Infinity while the scenario has not begun. */
  #beginMs: (target: string) => number = () => Number.POSITIVE_INFINITY;

  constructor(slotMs: number) {
    this.#slotMs = slotMs;
    this.#server = this.#create();
  }

  static async start(slotMs: number): Promise<PageExporter> {
    const exporter = new PageExporter(slotMs);
    await exporter.listen();
    return exporter;
  }

  get port(): number {
    return this.#port;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  add(name: string, target: Target): void {
    this.#targets.set(name, target);
  }

  /** Fixes where slot 0 begins for each target. */
  begin(beginMs: (target: string) => number): void {
    this.#beginMs = beginMs;
  }

  slotAt(target: string, timeMs: number): number {
    const begin = this.#beginMs(target);
    return begin === Number.POSITIVE_INFINITY ? -1 : Math.floor((timeMs - begin) / this.#slotMs);
  }

  /** When a slot of the target begins; Infinity before `begin`. */
  slotStartMs(target: string, slot: number): number {
    return this.#beginMs(target) + slot * this.#slotMs;
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#port, "127.0.0.1", resolve);
    });
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Refuses connections from now on, and breaks those that are there. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = this.#create();
    for (const socket of this.#sockets) socket.destroy();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #create(): Server {
    const server = createServer((request, response) => this.#serve(request, response));
    server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    return server;
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const arrivedMs = Date.now();
    const url = request.url ?? "/";
    const name = decodeURIComponent(url.slice(1).split("?")[0] ?? "");
    const target = this.#targets.get(name);
    if (target === undefined) {
      response.writeHead(404).end();
      return;
    }
    const slot = this.slotAt(name, arrivedMs);
    const named = request.headers[scraperHeader] ?? request.headers["user-agent"];
    const scraper =
      String(named ?? "")
        .split("/")[0]
        ?.toLowerCase() ?? "";
    this.log.push({ target: name, scraper, slot, arrivedMs, headers: request.headers, url });
    const served = target(slot, this.slotStartMs(name, slot));
    if (served === "reset") request.socket.destroy();
    else if (typeof served === "function") served(request, response);
    else writePage(served, request, response);
  }
}

/** Answers with a page. */
export function writePage(page: Page, request: IncomingMessage, response: ServerResponse): void {
  const headers: Record<string, string> = { ...page.headers };
  const contentType = page.contentType ?? "text/plain; version=0.0.4; charset=utf-8";
  if (contentType !== "") headers["content-type"] = contentType;
  let body = Buffer.from(page.body);
  if (page.gzip === true && /\bgzip\b/.test(String(request.headers["accept-encoding"] ?? ""))) {
    body = gzipSync(body);
    headers["content-encoding"] = "gzip";
  }
  if (page.chunkBytes === undefined) {
    headers["content-length"] = String(body.length);
    response.writeHead(page.status ?? 200, headers).end(body);
    return;
  }
  response.writeHead(page.status ?? 200, headers);
  for (let at = 0; at < body.length; at += page.chunkBytes) response.write(body.subarray(at, at + page.chunkBytes));
  response.end();
}
