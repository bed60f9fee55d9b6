/** Receives metrics, traces and logs by OTLP, over gRPC and HTTP. */

import { type CreateContext, defineReceiver } from "../../component/define.ts";
import { type GrpcServerConfig, toServerKeepalive } from "../../component/grpc-server-config.ts";
import { checkCaller, findServerAuthenticator, type ServerAuthenticator } from "../../component/server-auth.ts";
import { listenAddress, toServerTls } from "../../component/server-fields.ts";
import { ConfigError, toError } from "../../model/errors.ts";
import { ByteBudget } from "../../transport/byte-budget.ts";
import { type GrpcServerOptions, startGrpcServer } from "../../transport/grpc-server.ts";
import { GrpcError, grpcCodes } from "../../transport/grpc-status.ts";
import type { Http1Handler } from "../../transport/http1-exchange.ts";
import { startHttp1Server } from "../../transport/http1-server.ts";
import { completeOtlp, type OtlpHttpConfig, type OtlpReceiverConfig, otlpSchema } from "./config.ts";
import { createGrpcMethods } from "./grpc-methods.ts";
import { createHttpHandler } from "./http-handler.ts";
import { Intake, type Transport } from "./intake.ts";
import { type ProtocolParts, ProtocolServer } from "./protocol-server.ts";
import { UnservedSignals } from "./unserved-signals.ts";

type Limits = OtlpReceiverConfig["limits"];

/** The section of a protocol and what it shares with the other. */
interface WithLimits<C> {
  readonly config: C;
  readonly limits: Limits;
}

interface Shared {
  readonly intake: Intake;
  readonly unserved: UnservedSignals;
  readonly budget: ByteBudget;
}

const mebibyte = 1024 * 1024;
const defaultIdleMs = 300_000;

export default defineReceiver<OtlpReceiverConfig>({
  type: "otlp",
  description: "Receives metrics, traces and logs by OTLP.",
  stability: { metrics: "beta", traces: "beta", logs: "beta" },
  config: otlpSchema,
  complete: completeOtlp,

  create(context) {
    const { id, config, next, identities, meter, log } = context;
    const intake = new Intake({ id, next, identities, meter });
    const unserved = new UnservedSignals({ id, log, meter });
    const budget = new ByteBudget(config.limits.in_flight_size);
    const grpc = new ProtocolServer(grpcParts(context, { intake, unserved, budget }));
    const http = new ProtocolServer(httpParts(context, { intake, unserved, budget }));
    const announce = (transport: Transport) => {
      intake.announce(transport);
      unserved.announce(transport);
    };
    const apply = async ({ protocols, limits }: OtlpReceiverConfig) => {
      budget.resize(limits.in_flight_size);
      if (protocols.grpc !== undefined) announce("grpc");
      if (protocols.http !== undefined) announce("http");
      await grpc.apply(protocols.grpc && { config: protocols.grpc, limits });
      await http.apply(protocols.http && { config: protocols.http, limits });
    };
    return {
      start: () => apply(config),
      // Called at every reload, also where nothing of the section changed: an extension may be another one.
      reconfigure: apply,
      async shutdown(deadline) {
        await Promise.all([grpc.close(deadline), http.close(deadline)]);
      },
    };
  },
});

function grpcParts(
  { id, host, log }: CreateContext<OtlpReceiverConfig>,
  { intake, unserved, budget }: Shared,
): ProtocolParts<WithLimits<GrpcServerConfig>> {
  const path = `receivers::${id}::protocols::grpc`;
  let methodAt: GrpcServerOptions["methodAt"] = () => undefined;
  let authenticate: GrpcServerOptions["authenticate"];
  const limitsOf = ({ config, limits }: WithLimits<GrpcServerConfig>) => ({
    maxMessageBytes: (config.max_recv_msg_size_mib || 4) * mebibyte,
    maxConcurrentStreams: config.max_concurrent_streams || undefined,
    maxConnections: limits.connections,
  });
  return {
    fixedSettings(settings) {
      const { endpoint, transport, tls, keepalive } = settings.config;
      return JSON.stringify([endpoint, transport, toServerTls(tls), keepalive, limitsOf(settings)]);
    },
    use({ config }) {
      const authenticator = findServerAuthenticator(config.auth, host, path);
      authenticate = authenticator && callerCheck(authenticator);
      methodAt = createGrpcMethods({ intake, unserved }, { includeMetadata: config.include_metadata, authenticator });
    },
    async start(settings) {
      const { config } = settings;
      const server = await listening(path, () =>
        startGrpcServer({
          at: listenAddress(config),
          tls: toServerTls(config.tls),
          methodAt: (method) => methodAt(method),
          authenticate: (headers) => authenticate?.(headers),
          limits: { ...limitsOf(settings), budget },
          keepalive: toServerKeepalive(config.keepalive),
          onError: (error) => log.error("Cannot take a request", { protocol: "grpc", error: error.message }),
        }),
      );
      log.info("OTLP receiver listens", { protocol: "grpc", endpoint: config.endpoint, port: server.port });
      return server;
    },
  };
}

/** Undefined at once where the caller is let in without waiting. */
function callerCheck(authenticator: ServerAuthenticator): GrpcServerOptions["authenticate"] {
  const refuse = (why: string | undefined): void => {
    if (why !== undefined) throw new GrpcError(grpcCodes.UNAUTHENTICATED, why);
  };
  return (headers) => {
    const answer = checkCaller(authenticator, headers);
    return answer instanceof Promise ? answer.then(refuse) : refuse(answer);
  };
}

function httpParts(
  { id, host, log }: CreateContext<OtlpReceiverConfig>,
  { intake, unserved, budget }: Shared,
): ProtocolParts<WithLimits<OtlpHttpConfig>> {
  const path = `receivers::${id}::protocols::http`;
  let current: Http1Handler | undefined;
  const handler: Http1Handler = {
    handle: (exchange) => current?.handle(exchange),
    get writeTimeoutMs() {
      return current?.writeTimeoutMs ?? 0;
    },
  };
  const limitsOf = ({ config, limits }: WithLimits<OtlpHttpConfig>) => ({
    maxConnections: limits.connections,
    requestTimeoutMs: config.read_timeout || undefined,
    headersTimeoutMs: config.read_header_timeout || undefined,
    keepAliveTimeoutMs: config.idle_timeout || defaultIdleMs,
  });
  return {
    fixedSettings(settings) {
      const { endpoint, transport, tls } = settings.config;
      return JSON.stringify([endpoint, transport, toServerTls(tls), limitsOf(settings)]);
    },
    use({ config }) {
      const authenticator = findServerAuthenticator(config.auth, host, path);
      try {
        current = createHttpHandler({ config, intake, unserved, budget, authenticator });
      } catch (caught) {
        const message = toError(caught).message;
        throw new ConfigError([{ path: `${path}::response_headers`, message }], { cause: caught });
      }
    },
    async start(settings) {
      const { config } = settings;
      const server = await listening(path, () =>
        startHttp1Server({
          at: listenAddress(config),
          tls: toServerTls(config.tls),
          limits: limitsOf(settings),
          handler,
          onError: (error) => log.error("Cannot take a request", { protocol: "http", error: error.message }),
        }),
      );
      log.info("OTLP receiver listens", { protocol: "http", endpoint: config.endpoint, port: server.port });
      return server;
    },
  };
}

/** Names the key at fault when a server cannot listen. */
async function listening<T>(path: string, start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (caught) {
    const { code, message } = toError(caught) as Error & { code?: unknown };
    const key = code === "FILE_UNREADABLE" || code === "TLS_INVALID" ? "tls" : "endpoint";
    throw new ConfigError([{ path: `${path}::${key}`, message }], { cause: caught });
  }
}
