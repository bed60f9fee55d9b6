/** Ends a server that listens, and its connections with it, in time. */

import type { Server } from "node:net";

export interface ClosingSettings {
  /** Connections that are left then are destroyed. */
  readonly deadlineMs: number;
  /** They are destroyed at once when it aborts. */
  readonly hurry: AbortSignal | undefined;
  /** Clients are told to leave only when it settles: another server listens in the place of this one. */
  readonly replaced: Promise<void> | undefined;
}

/** The connections of a server. */
export interface ClosingConnections {
  /** Lets what is under way end, and takes nothing more. */
  drain(): void;
  destroy(): void;
}

/** Takes no more connections at once; resolves when the last has ended. */
export function closeServer(
  server: Server,
  connections: ClosingConnections,
  { deadlineMs, hurry, replaced }: ClosingSettings,
): Promise<void> {
  return new Promise((resolve) => {
    const end = () => connections.destroy();
    const timer = setTimeout(end, deadlineMs);
    hurry?.addEventListener("abort", end, { once: true });
    server.close(() => {
      clearTimeout(timer);
      hurry?.removeEventListener("abort", end);
      resolve();
    });
    const drain = () => connections.drain();
    if (hurry?.aborted) end();
    else if (replaced === undefined) drain();
    else replaced.then(drain, drain);
  });
}
