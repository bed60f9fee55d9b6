/** Tells a kept connection that the server had closed meanwhile from a server that fails. */

import { HttpError } from "./http-error.ts";

/**
 * True for an error before the response when the connection looks like one that was used before: then a GET can be
 * repeated at no risk. A reset carries no history, so it counts as one; a repeat costs a request at worst.
 */
export function isStaleConnection(caught: unknown): boolean {
  if (!(caught instanceof HttpError) || caught.phase !== "waiting for the response") {
    return false;
  }
  if (caught.code === "ECONNRESET" || caught.code === "EPIPE") {
    return true;
  }
  return caught.code === "UND_ERR_SOCKET" && bytesReadBefore(caught.cause) > 0;
}

function bytesReadBefore(error: unknown): number {
  if (typeof error !== "object" || error === null || !("socket" in error)) {
    return 0;
  }
  const socket = error.socket;
  const read = typeof socket === "object" && socket !== null && "bytesRead" in socket ? socket.bytesRead : 0;
  return typeof read === "number" ? read : 0;
}
