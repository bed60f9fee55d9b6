/** Changes the attributes of resources, spans and log records in the bytes of a request; everything else is copied as it is. */

import type { AttributeValue } from "../model/attributes.ts";
import type { ClientInfo } from "../model/client-info.ts";
import { ConsumeError, DecodeError } from "../model/errors.ts";
import type { LogsBatch, OtlpRequest, TracesBatch } from "../model/otlp-request.ts";
import { BytePatches } from "./byte-patches.ts";
import { EditableAttributes, type MutableAttributes } from "./editable-attributes.ts";

/** What is to be changed: the attributes of resources, or those of spans or log records. */
export interface RequestEdit {
  resource?(attributes: MutableAttributes, client: ClientInfo | undefined): void;
  item?(attributes: MutableAttributes, item: ItemView, client: ClientInfo | undefined): void;
}

/** Where a span or a log record stands, and its own fields. Not to be kept. */
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

/** The requests with changed attributes; one that does not change stays the same. Throws a permanent ConsumeError for bytes that are none. */
export function editRequests<B extends TracesBatch | LogsBatch>(batch: B, edit: RequestEdit): B {
  try {
    const requests = batch.requests.map((request) => editRequest(request, edit, batch.client));
    return requests.every((request, i) => request === batch.requests[i]) ? batch : { ...batch, requests };
  } catch (caught) {
    if (!(caught instanceof DecodeError)) throw caught;
    const message = `${batch.signal} cannot be decoded: ${caught.message}`;
    throw new ConsumeError("CONSUME_REJECTED", message, { permanent: true, cause: caught });
  }
}

function editRequest(request: OtlpRequest, edit: RequestEdit, client: ClientInfo | undefined): OtlpRequest {
  const { bytes, signal } = request;
  if (signal === "metrics") throw new Error("metrics are changed as points");
  const edited = new Editor(bytes, itemAttributes[signal], { edit, client }).run();
  return edited === undefined ? request : { ...request, bytes: edited };
}

const patches = new BytePatches();

/** One request. The fields of the field found last are members, so that finding one makes no object. */
class Editor implements ItemView {
  readonly #bytes: Uint8Array;
  readonly #itemField: number;
  readonly #edit: RequestEdit;
  readonly #client: ClientInfo | undefined;
  readonly #resource: EditableAttributes;
  readonly #attributes: EditableAttributes;
  #scopeStart = -1;
  #scopeStop = -1;
  #itemStart = 0;
  #itemStop = 0;
  /** Of the field found last: its number and wire type, where its length (or value), its content and the next field begin. */
  #field = 0;
  #wireType = 0;
  #lengthAt = 0;
  #start = 0;
  #next = 0;

  constructor(
    bytes: Uint8Array,
    itemField: number,
    { edit, client }: { readonly edit: RequestEdit; readonly client: ClientInfo | undefined },
  ) {
    this.#bytes = bytes;
    this.#itemField = itemField;
    this.#edit = edit;
    this.#client = client;
    this.#resource = new EditableAttributes(bytes, resourceAttributes);
    this.#attributes = new EditableAttributes(bytes, itemField);
  }

  get resource(): EditableAttributes {
    return this.#resource;
  }

  get scope(): Uint8Array | undefined {
    return this.#scopeStart < 0 ? undefined : this.#bytes.subarray(this.#scopeStart, this.#scopeStop);
  }

  get message(): Uint8Array {
    return this.#bytes.subarray(this.#itemStart, this.#itemStop);
  }

  /** The changed request; undefined when nothing changes. */
  run(): Uint8Array | undefined {
    patches.reset();
    const bytes = this.#bytes;
    const editResource = this.#edit.resource === undefined ? this.#editInside : this.#editResource;
    const growth = this.#children(0, bytes.length, 1, editResource);
    return patches.count === 0 ? undefined : patches.apply(bytes, growth);
  }

  /** Lets `edit` note the changes of every field with this number; returns by how much the message grows. */
  #children(start: number, stop: number, field: number, edit: (start: number, stop: number) => number): number {
    let growth = 0;
    for (let at = start; at < stop; ) {
      this.#read(at, stop);
      const next = this.#next;
      if (this.#field === field && this.#wireType === 2) {
        const content = this.#start;
        const place = patches.openMessage(this.#lengthAt, content);
        const grown = edit(content, next);
        if (patches.count === place + 1) patches.cancelFrom(place);
        else growth += patches.closeMessage(place, next - content, grown);
      }
      at = next;
    }
    return growth;
  }

  /** A ResourceSpans or a ResourceLogs whose resource is changed. */
  readonly #editResource = (start: number, stop: number): number => {
    this.#findField(start, stop, 1);
    const hasOwn = this.#field === 1;
    const [lengthAt, from, to] = hasOwn ? [this.#lengthAt, this.#start, this.#next] : [0, 0, 0];
    const attributes = this.#resource;
    this.#collect(attributes, from, to, resourceAttributes);
    this.#edit.resource?.(attributes, this.#client);
    if (!attributes.isChanged) return 0;
    // Without a resource, one is put in front.
    if (!hasOwn) patches.replace(start, start, Uint8Array.of((1 << 3) | 2));
    const place = hasOwn ? patches.openMessage(lengthAt, from) : patches.openMessage(start, start);
    const grown = patches.closeMessage(place, to - from, attributes.note(patches, hasOwn ? to : start));
    return hasOwn ? grown : grown + 1;
  };

  /** One whose spans or log records are changed. */
  readonly #editInside = (start: number, stop: number): number => {
    this.#findField(start, stop, 1);
    const hasOwn = this.#field === 1;
    this.#collect(this.#resource, hasOwn ? this.#start : 0, hasOwn ? this.#next : 0, resourceAttributes);
    return this.#children(start, stop, 2, this.#editScope);
  };

  /** A ScopeSpans or a ScopeLogs. */
  readonly #editScope = (start: number, stop: number): number => {
    this.#findField(start, stop, 1);
    const hasOwn = this.#field === 1;
    this.#scopeStart = hasOwn ? this.#start : -1;
    this.#scopeStop = this.#next;
    return this.#children(start, stop, 2, this.#editItem);
  };

  readonly #editItem = (start: number, stop: number): number => {
    const attributes = this.#attributes;
    this.#collect(attributes, start, stop, this.#itemField);
    this.#itemStart = start;
    this.#itemStop = stop;
    this.#edit.item?.(attributes, this, this.#client);
    return attributes.isChanged ? attributes.note(patches, stop) : 0;
  };

  #collect(attributes: EditableAttributes, start: number, stop: number, field: number): void {
    const bytes = this.#bytes;
    const attributeTag = (field << 3) | 2;
    attributes.reset();
    for (let at = start; at < stop; ) {
      const tag = bytes[at] as number;
      const wireType = tag < 0x80 ? tag & 7 : 7;
      // Nearly all fields are fixed, or short enough for a length of one byte.
      if (wireType === 1) at += 9;
      else if (wireType === 2 && (bytes[at + 1] as number) < 0x80) {
        const next = at + 2 + (bytes[at + 1] as number);
        if (tag === attributeTag && next <= stop) attributes.push(at, at + 2, next);
        at = next;
      } else {
        this.#read(at, stop);
        if (this.#field === field && this.#wireType === 2) attributes.push(at, this.#start, this.#next);
        at = this.#next;
      }
      if (at > stop) throw new DecodeError("otlp", start, "length beyond the end");
    }
  }

  /** Goes to the first message with this number; `#field` is 0 where there is none. */
  #findField(start: number, stop: number, field: number): void {
    for (let at = start; at < stop; at = this.#next) {
      this.#read(at, stop);
      if (this.#field === field && this.#wireType === 2) return;
    }
    this.#field = 0;
  }

  /** Reads the field at `at`. Requests were walked; what is none all the same ends in a DecodeError. */
  #read(at: number, stop: number): void {
    const tag = this.#varint(at, stop);
    this.#field = Math.floor(tag / 8);
    this.#wireType = tag & 7;
    this.#lengthAt = this.#next;
    if (this.#wireType === 2) {
      const length = this.#varint(this.#next, stop);
      this.#start = this.#next;
      this.#next += length;
    } else if (this.#wireType === 1) this.#next += 8;
    else if (this.#wireType === 5) this.#next += 4;
    else if (this.#wireType === 0) this.#varint(this.#next, stop);
    else this.#skipGroup(at, stop);
    if (this.#next > stop) throw new DecodeError("otlp", at, "length beyond the end");
  }

  #skipGroup(from: number, stop: number): void {
    if (this.#wireType !== 3) throw new DecodeError("otlp", from, "invalid field tag");
    const field = this.#field;
    let depth = 1;
    let at = this.#next;
    while (depth > 0) {
      if (at >= stop) throw new DecodeError("otlp", from, "group without its end");
      const tag = this.#varint(at, stop);
      const wireType = tag & 7;
      if (wireType === 3) depth++;
      else if (wireType === 4) depth--;
      else this.#read(at, stop);
      at = this.#next;
    }
    this.#field = field;
    this.#wireType = 3;
  }

  /** Reads a varint and stands behind it. */
  #varint(from: number, stop: number): number {
    const bytes = this.#bytes;
    let at = from;
    let value = 0;
    for (let scale = 1; at < stop && at < from + 10; scale *= 128) {
      const byte = bytes[at++] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        this.#next = at;
        return value;
      }
    }
    throw new DecodeError("otlp", from, "varint longer than 10 bytes or cut off");
  }
}
