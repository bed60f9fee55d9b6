/** What the receiver answers over HTTP: successes, refusals and plain texts, with the headers that the configuration adds. */

import { encodeExportResponse, exportResponseJson, type PartialSuccess } from "../../codec/otlp/export-response.ts";
import { rpcStatusJson } from "../../codec/otlp/rpc-status.ts";
import type { Signal } from "../../model/otlp-request.ts";
import { encodeStatus, type GrpcError } from "../../transport/grpc-status.ts";
import { fieldLines, type HeaderField, type Http1Answer } from "../../transport/http1-answer.ts";
import { httpStatus } from "./refusal.ts";

export type Encoding = "application/x-protobuf" | "application/json";

/** Without a partial success a response in protobuf has no bytes; in JSON it is the same for each signal. */
const fullSuccess: Readonly<Record<Encoding, string>> = {
  "application/x-protobuf": "",
  "application/json": "{}",
};

const noFields: readonly HeaderField[] = [];
/** The server frames answers itself. */
const framing: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "keep-alive",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

export class HttpAnswers {
  /** Of every answer; a header of the answer itself comes before one of the same name. */
  readonly #fields: readonly HeaderField[];
  readonly #hasDate: boolean;
  readonly #closes: boolean;
  readonly #successes: Readonly<Record<Encoding, Http1Answer>>;

  /** `closes` ends the connection with every answer. */
  constructor(fields: readonly HeaderField[], closes: boolean) {
    this.#fields = fields.filter(([name]) => !framing.has(name.toLowerCase()));
    this.#hasDate = fields.some(([name]) => name.toLowerCase() === "date");
    this.#closes =
      closes || fields.some(([name, value]) => name.toLowerCase() === "connection" && /\bclose\b/i.test(value));
    this.#successes = {
      "application/x-protobuf": this.#fullSuccess("application/x-protobuf", noFields),
      "application/json": this.#fullSuccess("application/json", noFields),
    };
  }

  /** `cors` are headers of this answer, as of the other answers. */
  success(
    signal: Signal,
    encoding: Encoding,
    { partial, cors }: { readonly partial: PartialSuccess | undefined; readonly cors: readonly HeaderField[] },
  ): Http1Answer {
    if (partial === undefined) return cors.length === 0 ? this.#successes[encoding] : this.#fullSuccess(encoding, cors);
    const isJson = encoding === "application/json";
    const body = isJson ? Buffer.from(exportResponseJson(signal, partial)) : encodeExportResponse(partial);
    return this.#answer(200, [...cors, ["content-type", encoding]], body);
  }

  /** The body is a google.rpc.Status in the request's encoding. */
  failure(encoding: Encoding, { code, message, retryAfterMs }: GrpcError, cors: readonly HeaderField[]): Http1Answer {
    const body =
      encoding === "application/json"
        ? Buffer.from(rpcStatusJson({ code, message, retryAfterMs }))
        : encodeStatus(code, message, retryAfterMs);
    const fields: HeaderField[] = [...cors, ["content-type", encoding]];
    if (retryAfterMs !== undefined) fields.push(["retry-after", String(Math.max(1, Math.ceil(retryAfterMs / 1000)))]);
    return this.#answer(httpStatus(code, retryAfterMs !== undefined), fields, body);
  }

  text(status: number, text: string, fields: readonly HeaderField[]): Http1Answer {
    return this.#answer(status, [...fields, ["content-type", "text/plain; charset=utf-8"]], `${text}\n`);
  }

  /** To a browser's question whether it may ask. */
  preflight(cors: readonly HeaderField[]): Http1Answer {
    return this.#answer(204, cors, "");
  }

  #fullSuccess(encoding: Encoding, cors: readonly HeaderField[]): Http1Answer {
    return this.#answer(200, [...cors, ["content-type", encoding]], fullSuccess[encoding]);
  }

  #answer(status: number, fields: readonly HeaderField[], body: string | Uint8Array): Http1Answer {
    const lines = fieldLines([...this.#fields, ...fields]);
    return { status, fields: lines, body, hasDate: this.#hasDate, closes: this.#closes };
  }
}
