/** The configuration of an HTTP server with the Collector's keys, for every component that listens. */

import { z } from "zod";
import { duration, filledSection, headers } from "../codec/yaml/field-types.ts";
import type { CompleteContext } from "./define.ts";
import { corsField } from "./http-cors.ts";
import { isFilled, isWritten, sectionIssue } from "./section-issues.ts";
import { checkServerTls, endpointField, serverAuthField, serverTls } from "./server-fields.ts";

export { endpointField, parseEndpoint, toServerTls } from "./server-fields.ts";

const later = (what: string) => z.unknown().optional().describe(`${what} Not built yet: an error.`);

/** Codings of bodies by their names in `Content-Encoding` and in `compression_algorithms`; "" is none. */
export const bodyCodings = ["", "gzip", "zstd", "zlib", "snappy", "deflate", "x-snappy-framed"] as const;

/** What differs between servers. */
export interface ServerDefaults {
  readonly keepAlives?: boolean;
  /** What `idle_timeout: 0` means. */
  readonly idle?: string;
}

/** The keys of a server, to be spread into the schema of a component. */
export function serverFields(endpoint: string, defaults: ServerDefaults = {}) {
  return {
    endpoint: endpointField().default(endpoint).describe("Address to listen on, host:port."),
    transport: z.enum(["tcp", "tcp4", "tcp6"]).default("tcp").describe("Accepted: the address decides."),
    tls: filledSection(serverTls).describe("Serves TLS; absent, plain HTTP."),
    response_headers: headers().optional().describe("Headers added to every answer."),
    read_timeout: duration().default(0).describe("Longest time for a whole request. 0 means 300 s."),
    read_header_timeout: duration().default(0).describe("Longest time for the headers of a request. 0 means 60 s."),
    write_timeout: duration().default(0).describe("Longest time for a client to read its answer. 0 means 30 s."),
    idle_timeout: duration()
      .default(0)
      .describe(`Longest time that a connection may idle. 0 means ${defaults.idle ?? "60 s"}.`),
    keep_alives_enabled: z
      .boolean()
      .default(defaults.keepAlives ?? false)
      .describe("Keeps connections open between requests."),
    max_request_body_size: z
      .number()
      .int()
      .min(0)
      .default(0)
      .describe("Largest body of a request in bytes, as it comes and unpacked. 0 means 20 MiB."),
    include_metadata: z
      .boolean()
      .default(false)
      .describe("Hands the headers of requests on, for from_context and metadata_keys of processors."),
    compression_algorithms: z
      .array(z.enum([...bodyCodings, "lz4"]))
      .optional()
      .describe('Codings of bodies that are taken, "" for none. Default: all but lz4, which is not built.'),
    cors: corsField(),
    auth: serverAuthField(),
    middlewares: later("Extensions around every request."),
  };
}

/** What a server of `serverFields` does with its keys, beyond the schema. */
export interface ServerAbilities {
  /** Where the server's keys stand below the section. */
  readonly path?: readonly string[];
  /** Whether it uses `auth`, `cors`, `compression_algorithms` and `write_timeout`. */
  readonly takesData?: boolean;
}

/** Reports what a section asks for that its server cannot do yet. */
export function checkServer(
  { tls }: { readonly tls?: z.output<typeof serverTls> | undefined },
  section: CompleteContext,
  { path = [], takesData = false }: ServerAbilities = {},
): void {
  for (const key of takesData ? ["middlewares"] : ["auth", "middlewares"]) {
    if (isFilled(section, [...path, key])) {
      section.issue(sectionIssue(section, [...path, key], "is not supported yet, it comes in a later version"));
    }
  }
  const inert = takesData ? [] : ["include_metadata", "cors", "write_timeout", "compression_algorithms"];
  for (const key of inert) {
    if (isWritten(section, [...path, key])) {
      section.notice(sectionIssue(section, [...path, key], "has no effect yet"));
    }
  }
  checkServerTls(tls, section, path);
}
