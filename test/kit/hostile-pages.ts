/** Targets that do harm: endless, huge, broken and lying pages. */

import type { ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import type { Handler, Page } from "./page-exporter.ts";

const textType = "text/plain; version=0.0.4";
const mebibyte = 1024 * 1024;

/** Sends the block again and again for as long as the other side takes it. */
export function endless(block: Buffer): Handler {
  return (_, response) => {
    response.writeHead(200, { "content-type": textType });
    const more = () => {
      while (!response.destroyed && response.write(block));
    };
    response.on("drain", more);
    more();
  };
}

/** Lines of samples without end. */
export const endlessLines = endless(Buffer.from("endless 1\n".repeat(6000)));

/** Gzip members that come to `megabytes` MiB of zero bytes. */
export function gzipBomb(megabytes: number): Page {
  const partMegabytes = 16;
  const member = gzipSync(Buffer.alloc(partMegabytes * mebibyte));
  const body = Buffer.concat(Array.from({ length: Math.ceil(megabytes / partMegabytes) }, () => member));
  return { body, contentType: textType, headers: { "content-encoding": "gzip" } };
}

/** One sample whose label value is this long. */
export function longLine(bytes: number): Page {
  return { body: `before 1\nlong{l="${"x".repeat(bytes)}"} 1\n` };
}

/** One sample with this many labels. */
export function manyLabels(count: number): Page {
  return { body: `labels{${Array.from({ length: count }, (_, i) => `l${i}="v"`).join(",")}} 1\n` };
}

/** This many series. */
export function manySeries(count: number): Page {
  return { body: Array.from({ length: count }, (_, i) => `s{i="${i}"} ${i}\n`).join("") };
}

/** Half of a page, then the connection breaks. */
export const resetInTheMiddle: Handler = (request, response) => {
  response.writeHead(200, { "content-type": textType });
  response.write("first 1\n", () => request.socket.resetAndDestroy());
};

/** One byte at a time, never done. */
export const slowDrip: Handler = (_, response) => {
  response.writeHead(200, { "content-type": textType });
  const timer = setInterval(() => response.write("d"), 50);
  response.on("close", () => clearInterval(timer));
};

/** Takes the request and says nothing. */
export const neverAnswers: Handler = () => undefined;

/** Writes these bytes to the socket and closes it. */
export function rawAnswer(bytes: string | Uint8Array): Handler {
  return (_, response) => {
    const { socket } = response as ServerResponse & { socket: { end(data: string | Uint8Array): void } };
    socket.end(bytes);
  };
}

/** Head of an answer of 200 that announces this length. */
export function headWithLength(length: number): string {
  return `HTTP/1.1 200 OK\r\nContent-Type: ${textType}\r\nContent-Length: ${length}\r\n\r\n`;
}

/** Redirects to itself for ever. */
export const redirectLoop: Handler = (request, response) => {
  response.writeHead(302, { location: request.url ?? "/" }).end();
};
