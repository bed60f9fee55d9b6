/** Changes the attributes of resources, spans and log records in the bytes of a request; everything else is copied as it is. */

import { WireReader } from "../codec/otlp/wire-reader.ts";
import type { AttributeValue } from "../model/attributes.ts";
import { ConsumeError, DecodeError } from "../model/errors.ts";
import type { LogsBatch, OtlpRequest, TracesBatch } from "../model/otlp-request.ts";
import { EditableAttributes, type MutableAttributes } from "./editable-attributes.ts";

/** What is to be changed. */
export interface RequestEdit {
  /** Changes the attributes of a resource. */
  resource?(attributes: MutableAttributes): void;
  /** Changes the attributes of a span or a log record. */
  item?(attributes: MutableAttributes, item: ItemView): void;
}

/** Where a span or a log record stands, and its own fields. */
export interface ItemView {
  /** The attributes of its resource, as they came. */
  readonly resource: Pick<ReadonlyMap<string, AttributeValue>, "get" | "has">;
  /** The bytes of its scope, a message of opentelemetry.proto.common.v1.InstrumentationScope; undefined without one. */
  readonly scope: Uint8Array | undefined;
  /** The bytes of the span or log record itself. */
  readonly message: Uint8Array;
}

/** The numbers of the attributes in a Span and a LogRecord. */
const itemAttributes = { traces: 9, logs: 6 } as const;
const resourceAttributes = 1;

/** Content of a message in pieces; undefined stands for one that did not change. */
type Content = readonly Uint8Array[] | undefined;

/** The requests with changed attributes; one that does not change stays the same. Throws a permanent ConsumeError for bytes that are none. */
export function editRequests<B extends TracesBatch | LogsBatch>(batch: B, edit: RequestEdit): B {
  try {
    const requests = batch.requests.map((request) => editRequest(request, edit));
    return requests.every((request, i) => request === batch.requests[i]) ? batch : { ...batch, requests };
  } catch (caught) {
    if (!(caught instanceof DecodeError)) throw caught;
    const message = `${batch.signal} cannot be decoded: ${caught.message}`;
    throw new ConsumeError("CONSUME_REJECTED", message, { permanent: true, cause: caught });
  }
}

function editRequest(request: OtlpRequest, edit: RequestEdit): OtlpRequest {
  const { bytes, signal } = request;
  if (signal === "metrics") throw new Error("metrics are changed as points");
  const editor = new Editor(bytes, itemAttributes[signal], edit);
  const content = editor.children(0, bytes.length, 1, (start, stop) => editor.resource(start, stop));
  return content === undefined ? request : { ...request, bytes: Buffer.concat(content) };
}

class Editor {
  readonly #bytes: Uint8Array;
  readonly #itemField: number;
  readonly #edit: RequestEdit;

  constructor(bytes: Uint8Array, itemField: number, edit: RequestEdit) {
    this.#bytes = bytes;
    this.#itemField = itemField;
    this.#edit = edit;
  }

  /** The message in [start, stop) with its fields of this number changed by `change`. */
  children(start: number, stop: number, field: number, change: (start: number, stop: number) => Content): Content {
    const chunks: Uint8Array[] = [];
    const reader = new WireReader(this.#bytes, start, stop);
    let at = start;
    while (reader.next()) {
      if (reader.field !== field) continue;
      reader.expect(2);
      const changed = change(reader.start, reader.stop);
      if (changed === undefined) continue;
      if (reader.fieldAt > at) chunks.push(this.#bytes.subarray(at, reader.fieldAt));
      pushFramed(chunks, field, changed);
      at = reader.stop;
    }
    if (at === start) return undefined;
    if (stop > at) chunks.push(this.#bytes.subarray(at, stop));
    return chunks;
  }

  /** A ResourceSpans or a ResourceLogs. */
  resource(start: number, stop: number): Content {
    const { resource: editResource, item: editItem } = this.#edit;
    const own = this.#find(start, stop, 1);
    if (editResource !== undefined) {
      const attributes = this.#attributes(own?.start ?? 0, own?.stop ?? 0, resourceAttributes);
      editResource(attributes);
      if (!attributes.isChanged) return undefined;
      const chunks: Uint8Array[] = [];
      pushFramed(chunks, 1, attributes.chunks(own?.start ?? 0, own?.stop ?? 0));
      if (own === undefined) chunks.push(this.#bytes.subarray(start, stop));
      else chunks.unshift(this.#bytes.subarray(start, own.from));
      if (own !== undefined) chunks.push(this.#bytes.subarray(own.stop, stop));
      return chunks;
    }
    if (editItem === undefined) return undefined;
    const resource = this.#attributes(own?.start ?? 0, own?.stop ?? 0, resourceAttributes);
    return this.children(start, stop, 2, (from, to) => this.#scope(from, to, resource));
  }

  /** A ScopeSpans or a ScopeLogs. */
  #scope(start: number, stop: number, resource: EditableAttributes): Content {
    const own = this.#find(start, stop, 1);
    const scope = own === undefined ? undefined : this.#bytes.subarray(own.start, own.stop);
    return this.children(start, stop, 2, (from, to) => {
      const attributes = this.#attributes(from, to, this.#itemField);
      this.#edit.item?.(attributes, { resource, scope, message: this.#bytes.subarray(from, to) });
      return attributes.isChanged ? attributes.chunks(from, to) : undefined;
    });
  }

  #attributes(start: number, stop: number, field: number): EditableAttributes {
    const attributes = new EditableAttributes(this.#bytes, field);
    const reader = new WireReader(this.#bytes, start, stop);
    while (reader.next()) {
      if (reader.field !== field) continue;
      reader.expect(2);
      attributes.push(reader);
    }
    return attributes;
  }

  /** The last field of this number. */
  #find(start: number, stop: number, field: number): { from: number; start: number; stop: number } | undefined {
    const reader = new WireReader(this.#bytes, start, stop);
    let found: { from: number; start: number; stop: number } | undefined;
    while (reader.next()) {
      if (reader.field !== field) continue;
      found = { from: reader.fieldAt, start: reader.start, stop: reader.stop };
    }
    return found;
  }
}

/** Adds a field that is a message. */
function pushFramed(chunks: Uint8Array[], field: number, content: readonly Uint8Array[]): void {
  let size = 0;
  for (const chunk of content) size += chunk.length;
  const front = [(field << 3) | 2];
  for (; size >= 0x80; size = Math.floor(size / 0x80)) front.push((size % 0x80) | 0x80);
  front.push(size);
  chunks.push(Uint8Array.from(front), ...content);
}
