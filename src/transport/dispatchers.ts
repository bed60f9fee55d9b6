/** The connections of one client: an undici agent for each way to reach a target, renewed when certificates change. */

import { isIP, type Socket } from "node:net";
import type { buildConnector, Dispatcher } from "undici";
import { openTunnel } from "./connect-tunnel.ts";
import type { HttpProxy } from "./proxy-choice.ts";
import type { TlsMaterial, TlsSource } from "./tls-files.ts";
import { Agent, createConnector } from "./undici-parts.ts";

/** How a request reaches its target. */
export type Route =
  | { readonly kind: "direct" }
  | { readonly kind: "unix"; readonly path: string }
  /** A request in absolute form to the proxy. */
  | { readonly kind: "forward"; readonly proxy: HttpProxy }
  /** CONNECT through the proxy, then TLS with the target. */
  | { readonly kind: "tunnel"; readonly proxy: HttpProxy };

/** Limits and times of the connections. */
export interface DispatcherOptions {
  readonly tls: TlsSource;
  readonly allowH2: boolean;
  readonly userAgent: string;
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** 0 is unlimited. */
  readonly maxConnectionsPerHost: number;
  readonly proxyConnectHeader: Readonly<Record<string, readonly string[]>>;
}

/** Socket files come from target labels: beyond this many agents the one used longest ago is closed. */
const maxAgents = 256;

/** Owns every socket it opens. */
export class Dispatchers {
  readonly #options: DispatcherOptions;
  readonly #agents = new Map<string, Agent>();
  readonly #retired = new Set<Agent>();
  readonly #sockets = new Set<Socket>();
  #material: TlsMaterial | undefined;

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  /** Open and opening connections. */
  get openConnections(): number {
    return this.#sockets.size;
  }

  /** `secure` says that TLS is spoken with the target or the proxy. Throws HttpError for files that are not usable. */
  get(route: Route, secure: boolean): Dispatcher {
    const material = secure ? this.#currentMaterial() : undefined;
    const key = keyOf(route, secure);
    let agent = this.#agents.get(key);
    if (agent === undefined) {
      agent = this.#createAgent(route, material);
      if (this.#agents.size >= maxAgents) {
        this.#retireOldest();
      }
    } else {
      this.#agents.delete(key);
    }
    // Set again on each use: a Map remembers the order of insertion, which so becomes that of use.
    this.#agents.set(key, agent);
    return agent;
  }

  /** Loads certificates and keys now; throws as `get` would. */
  checkFiles(): void {
    this.#currentMaterial();
  }

  /** Waits up to `graceMs` for requests under way, then ends them and closes every connection. */
  async close(graceMs: number): Promise<void> {
    const agents = [...this.#agents.values(), ...this.#retired];
    this.#agents.clear();
    if (graceMs > 0) {
      await withinMs(graceMs, Promise.all(agents.map((agent) => agent.close())));
    }
    const destroyed = Promise.all(agents.map((agent) => agent.destroy()));
    // undici does not own a socket that is not connected yet.
    for (const socket of this.#sockets) {
      socket.destroy();
    }
    await destroyed;
  }

  #currentMaterial(): TlsMaterial {
    const material = this.#options.tls();
    if (this.#material !== undefined && this.#material !== material) {
      for (const [key, agent] of this.#agents) {
        if (key.startsWith("tls ")) {
          this.#agents.delete(key);
          this.#retire(agent);
        }
      }
    }
    this.#material = material;
    return material;
  }

  #retireOldest(): void {
    for (const [key, agent] of this.#agents) {
      this.#agents.delete(key);
      this.#retire(agent);
      return;
    }
  }

  #retire(agent: Agent): void {
    this.#retired.add(agent);
    agent.close().then(
      () => this.#retired.delete(agent),
      () => this.#retired.delete(agent),
    );
  }

  #createAgent(route: Route, material: TlsMaterial | undefined): Agent {
    const { idleTimeoutMs, maxConnectionsPerHost, connectTimeoutMs, allowH2 } = this.#options;
    return new Agent({
      connect: this.#createConnector(route, material),
      allowH2: allowH2 && material !== undefined && route.kind !== "forward",
      connectTimeout: connectTimeoutMs,
      // The signal of each request is its only time limit.
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: idleTimeoutMs,
      keepAliveMaxTimeout: idleTimeoutMs,
      ...(maxConnectionsPerHost > 0 ? { connections: maxConnectionsPerHost } : {}),
    });
  }

  #createConnector(route: Route, material: TlsMaterial | undefined): buildConnector.connector {
    const connect = createConnector({
      allowH2: this.#options.allowH2 && material !== undefined && route.kind !== "forward",
      timeout: this.#options.connectTimeoutMs,
      ...(route.kind === "unix" ? { socketPath: route.path } : {}),
      ...(material === undefined ? {} : tlsOptions(material)),
    });
    const connectTracked: buildConnector.connector = (options, callback) => {
      const servername = material?.serverName ?? sniName(route, options.servername);
      // The type says void, but the socket is what is returned: the only way to close one that is still connecting.
      const socket: unknown = connect({ ...options, servername }, callback);
      if (isSocket(socket)) {
        this.#track(socket);
      }
    };
    return route.kind === "tunnel" ? this.#throughTunnel(route.proxy, material, connectTracked) : connectTracked;
  }

  #throughTunnel(
    proxy: HttpProxy,
    material: TlsMaterial | undefined,
    connect: buildConnector.connector,
  ): buildConnector.connector {
    return (options, callback) => {
      const { userAgent, connectTimeoutMs, proxyConnectHeader } = this.#options;
      const host = options.hostname.includes(":") ? `[${options.hostname.replace(/[[\]]/g, "")}]` : options.hostname;
      const tunnel = {
        proxy,
        tls: material,
        authority: `${host}:${options.port === "" ? 443 : options.port}`,
        userAgent,
        headers: proxyConnectHeader,
        timeoutMs: connectTimeoutMs,
        track: (socket: Socket) => this.#track(socket),
      };
      openTunnel(tunnel, (error, socket) => {
        if (socket === null) {
          callback(error ?? new Error("no tunnel"), null);
        } else {
          connect({ ...options, httpSocket: socket }, callback);
        }
      });
    };
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
  }
}

function keyOf(route: Route, secure: boolean): string {
  const scheme = secure ? "tls" : "tcp";
  switch (route.kind) {
    case "direct":
      return `${scheme} direct`;
    case "unix":
      return `${scheme} unix ${route.path}`;
    default:
      return `${scheme} ${route.kind} ${route.proxy.url.origin}`;
  }
}

/** TLS with a forwarding proxy is about the proxy's name, whatever Host header the request carries. */
function sniName(route: Route, fromRequest: string | undefined): string | undefined {
  if (route.kind !== "forward") {
    return fromRequest;
  }
  const name = route.proxy.url.hostname;
  return name.startsWith("[") || isIP(name) !== 0 ? undefined : name;
}

function tlsOptions(material: TlsMaterial): buildConnector.BuildOptions {
  return {
    secureContext: material.secureContext,
    rejectUnauthorized: material.rejectUnauthorized,
    ...(material.checkServerIdentity === undefined ? {} : { checkServerIdentity: material.checkServerIdentity }),
  };
}

function isSocket(value: unknown): value is Socket {
  return typeof value === "object" && value !== null && "destroy" in value && "once" in value;
}

async function withinMs(limitMs: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([work.catch(() => {}), limit]);
  clearTimeout(timer);
}
