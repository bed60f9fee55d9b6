/** The connections of a TLS server whose TLS is not up yet: who is silent in it is ended in time. */

import type { Socket } from "node:net";
import type { Server } from "node:tls";

export class TlsHandshakes {
  readonly #sockets = new Set<Socket>();
  #isKnown = true;

  /** `server` does not listen yet. */
  constructor(server: Server) {
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    server.on("secureConnection", (socket: Socket) => {
      // The accepted socket, in a field that is not documented: where it is another, none is taken for one in its handshake.
      if (!this.#sockets.delete(Reflect.get(socket, "_parent"))) this.#isKnown = false;
    });
    // Before TLS is up, node tells of errors and of the time limit and leaves the socket to its owner.
    server.on("tlsClientError", (_error: Error, socket: Socket) => socket.destroy());
  }

  /** Ends them now. */
  destroy(): void {
    if (!this.#isKnown) return;
    for (const socket of this.#sockets) socket.destroy();
  }
}
