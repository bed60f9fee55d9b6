/** Makes a server listen, and says in plain words why it cannot. */

import type { Server } from "node:net";
import { codeOf, HttpError } from "./http-error.ts";

/** Where a server listens: an address or name, empty for all, or a socket file. */
export type ListenAddress = { readonly host: string; readonly port: number } | { readonly socketPath: string };

/** Rejects with HttpError: EADDRINUSE, EACCES, EADDRNOTAVAIL or ENOTFOUND, with the address in the message. */
export function listen(server: Server, at: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => reject(listenError(error, at));
    server.once("error", fail);
    const where = "socketPath" in at ? { path: at.socketPath } : { port: at.port, ...(at.host === "" ? {} : at) };
    server.listen(where, () => {
      server.off("error", fail);
      // Without a listener a failing accept, for want of file handles, would end the process.
      server.on("error", () => {});
      resolve();
    });
  });
}

const listenWords: Readonly<Record<string, string>> = {
  EADDRINUSE: "address already in use",
  EACCES: "permission denied",
  EADDRNOTAVAIL: "address not available on this machine",
  ENOTFOUND: "host name not found",
  ENOENT: "no such folder",
};

function listenError(error: Error, at: ListenAddress): HttpError {
  const code = codeOf(error) ?? "UNKNOWN";
  const words = listenWords[code] ?? error.message;
  return new HttpError(code, `listen on ${addressText(at)}: ${words} (${code})`, { cause: error });
}

function addressText(at: ListenAddress): string {
  if ("socketPath" in at) return at.socketPath.replace(/^\0/, "@");
  return `${at.host.includes(":") ? `[${at.host}]` : at.host}:${at.port}`;
}
