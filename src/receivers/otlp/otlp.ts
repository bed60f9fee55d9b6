/** Receives metrics, traces and logs by OTLP, over gRPC and HTTP. */

import { type CreateContext, defineReceiver } from "../../component/define.ts";
import { type GrpcServerConfig, toServerKeepalive } from "../../component/grpc-server-config.ts";
import { checkCaller, findServerAuthenticator, type ServerAuthenticator } from "../../component/server-auth.ts";
import { listenAddress, toServerTls } from "../../component/server-fields.ts";
import { ConfigError, toError } from "../../model/errors.ts";
import { ByteBudget } from "../../transport/byte-budget.ts";
import { type GrpcServerOptions, startGrpcServer } from "../../transport/grpc-server.ts";
import { GrpcError, grpcCodes } from "../../transport/grpc-status.ts";
import { startHttpServer } from "../../transport/http-server.ts";
import { completeOtlp, type OtlpHttpConfig, type OtlpReceiverConfig, otlpSchema } from "./config.ts";
import { createGrpcMethods } from "./grpc-methods.ts";
import { createHttpHandler } from "./http-handler.ts";
import { Intake, type Transport } from "./intake.ts";

/** A server of one of the protocols. */
interface Running {
  readonly port: number;
  close(deadlineMs: number, hurry?: AbortSignal): Promise<void>;
}

const mebibyte = 1024 * 1024;
const defaultIdleMs = 300_000;
/** For requests under way at the end; the deadline of the process may come sooner. */
const drainMs = 20_000;

export default defineReceiver<OtlpReceiverConfig>({
  type: "otlp",
  description: "Receives metrics, traces and logs by OTLP.",
  stability: { metrics: "beta", traces: "beta", logs: "beta" },
  config: otlpSchema,
  complete: completeOtlp,

  create(context) {
    const { id, config, next, identities, meter } = context;
    const { grpc, http } = config.protocols;
    const transports: Transport[] = [...(grpc ? (["grpc"] as const) : []), ...(http ? (["http"] as const) : [])];
    const intake = new Intake({ id, next, identities, meter, transports });
    const budget = new ByteBudget(config.limits.in_flight_size);
    let servers: Running[] = [];
    return {
      async start() {
        if (grpc !== undefined) servers.push(await startGrpc(context, grpc, { intake, budget }));
        if (http !== undefined) servers.push(await startHttp(context, http, { intake, budget }));
      },
      async shutdown(deadline) {
        const running = servers;
        servers = [];
        await Promise.all(running.map((server) => server.close(drainMs, deadline)));
      },
    };
  },
});

interface Shared {
  readonly intake: Intake;
  readonly budget: ByteBudget;
}

async function startGrpc(
  { id, config, host, log }: CreateContext<OtlpReceiverConfig>,
  grpc: GrpcServerConfig,
  { intake, budget }: Shared,
): Promise<Running> {
  const path = `receivers::${id}::protocols::grpc`;
  const authenticator = findServerAuthenticator(grpc.auth, host, path);
  const server = await listening(path, () =>
    startGrpcServer({
      at: listenAddress(grpc),
      tls: toServerTls(grpc.tls),
      methodAt: createGrpcMethods(intake, { includeMetadata: grpc.include_metadata, authenticator }),
      authenticate: authenticator === undefined ? undefined : callerCheck(authenticator),
      limits: {
        maxMessageBytes: (grpc.max_recv_msg_size_mib || 4) * mebibyte,
        maxConcurrentStreams: grpc.max_concurrent_streams || undefined,
        maxConnections: config.limits.connections,
        budget,
      },
      keepalive: toServerKeepalive(grpc.keepalive),
      onError: (error) => log.error("Cannot take a request", { protocol: "grpc", error: error.message }),
    }),
  );
  log.info("OTLP receiver listens", { protocol: "grpc", endpoint: grpc.endpoint, port: server.port });
  return server;
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

async function startHttp(
  { id, config, host, log }: CreateContext<OtlpReceiverConfig>,
  http: OtlpHttpConfig,
  { intake, budget }: Shared,
): Promise<Running> {
  const path = `receivers::${id}::protocols::http`;
  const authenticator = findServerAuthenticator(http.auth, host, path);
  const at = listenAddress(http);
  const server = await listening(path, () =>
    startHttpServer({
      ...("socketPath" in at ? { host: "", port: 0, ...at } : at),
      tls: toServerTls(http.tls),
      limits: {
        maxConnections: config.limits.connections,
        requestTimeoutMs: http.read_timeout || undefined,
        headersTimeoutMs: http.read_header_timeout || undefined,
        keepAliveTimeoutMs: http.idle_timeout || defaultIdleMs,
      },
      handler: createHttpHandler({ config: http, intake, budget, authenticator }),
      onError: (error) => log.error("Cannot take a request", { protocol: "http", error: error.message }),
    }),
  );
  log.info("OTLP receiver listens", { protocol: "http", endpoint: http.endpoint, port: server.port });
  return server;
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
