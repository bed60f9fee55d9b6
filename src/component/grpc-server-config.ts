/** The configuration of a gRPC server with the Collector's keys. */

import { z } from "zod";
import { duration, filledSection, switchedSection } from "../codec/yaml/field-types.ts";
import type { ServerKeepalive } from "../transport/grpc-server-session.ts";
import type { CompleteContext } from "./define.ts";
import { isFilled, isWritten, sectionIssue } from "./section-issues.ts";
import { checkListener, checkServerTls, listenerFields, serverAuthField, serverTls } from "./server-fields.ts";

const serverParameters = z.strictObject({
  max_connection_idle: duration().default(0).describe("Closes a connection without calls after this time. 0: never."),
  max_connection_age: duration()
    .default(0)
    .describe("A connection takes no more calls after this time, give or take a tenth. 0: never."),
  max_connection_age_grace: duration().default(0).describe("Time for its calls to end then. 0: no limit."),
  time: duration().default(0).describe("Pings a connection that was silent for this long. 0 means 2 h."),
  timeout: duration().default(0).describe("Time for the answer to a ping, else the connection ends. 0 means 20 s."),
});

const enforcementPolicy = z.strictObject({
  min_time: duration().default(0).describe("Shortest time between two pings of a client. 0 means 5 min."),
  permit_without_stream: z.boolean().default(false).describe("Lets clients ping while they have no calls."),
});

const keepalive = z.strictObject({
  server_parameters: switchedSection(serverParameters).describe("Age, idle time and pings of connections."),
  enforcement_policy: switchedSection(enforcementPolicy).describe("How often clients may ping."),
});

/** The schema of a gRPC server's section. */
export function grpcServerSchema(endpoint: string) {
  return z.strictObject({
    ...listenerFields(endpoint),
    tls: filledSection(serverTls).describe("Serves TLS; absent, plain text."),
    max_recv_msg_size_mib: z
      .number()
      .int()
      .min(0)
      .max(2047)
      .default(0)
      .describe("Largest message in MiB, as it comes and unpacked. 0 means 4."),
    max_concurrent_streams: z
      .number()
      .int()
      .min(0)
      .max(0xffff_ffff)
      .default(0)
      .describe("Calls at once on a connection; further ones wait at the client. 0 means 1,000."),
    read_buffer_size: z.number().int().min(0).optional().describe("Accepted without effect."),
    write_buffer_size: z.number().int().min(0).optional().describe("Accepted without effect."),
    keepalive: switchedSection(keepalive).describe("Age, idle time and pings of connections."),
    auth: serverAuthField(),
    include_metadata: z
      .boolean()
      .default(false)
      .describe("Hands the metadata of calls on, for from_context and metadata_keys of processors."),
    middlewares: z.unknown().optional().describe("Extensions around every call. Not built yet: an error."),
  });
}

export type GrpcServerConfig = z.output<ReturnType<typeof grpcServerSchema>>;

/** Reports what a section asks for that the server cannot do. `path` is the server's, below the section. */
export function checkGrpcServer(config: GrpcServerConfig, section: CompleteContext, path: readonly string[]): void {
  checkListener(config, section, path);
  checkServerTls(config.tls, section, path);
  if (isFilled(section, [...path, "middlewares"])) {
    const at = [...path, "middlewares"];
    section.issue(sectionIssue(section, at, "is not supported yet, it comes in a later version"));
  }
  for (const key of ["read_buffer_size", "write_buffer_size"]) {
    const at = [...path, key];
    if (isWritten(section, at)) section.notice(sectionIssue(section, at, "has no effect yet"));
  }
  const params = [...path, "auth", "request_params"];
  if (isWritten(section, params)) {
    section.notice(sectionIssue(section, params, "has no effect over gRPC, whose calls have no parameters"));
  }
}

/** The keepalive as the transport takes it: what is 0 or absent has gRPC's default. */
export function toServerKeepalive(config: GrpcServerConfig["keepalive"]): Partial<ServerKeepalive> {
  const { server_parameters: own, enforcement_policy: policy } = config ?? {};
  const given = {
    maxConnectionIdleMs: own?.max_connection_idle,
    maxConnectionAgeMs: own?.max_connection_age,
    maxConnectionAgeGraceMs: own?.max_connection_age_grace,
    timeMs: own?.time,
    timeoutMs: own?.timeout,
    minPingIntervalMs: policy?.min_time,
  };
  const set = Object.entries(given).filter(([, ms]) => ms !== undefined && ms > 0);
  return { ...Object.fromEntries(set), permitWithoutStream: policy?.permit_without_stream ?? false };
}
