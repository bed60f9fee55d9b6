/** The streams of a client's HTTP/2 connection: those that are open, and those that wait because the server takes no more at once. */

import type { ClientOutput } from "./http2-client-output.ts";
import type { ClientStream } from "./http2-client-stream.ts";
import type { PeerSettings } from "./http2-peer-settings.ts";
import { expectHttp2, http2Codes, maxInt31, resetFrame } from "./http2-wire.ts";

export class ClientStreams {
  readonly #output: ClientOutput;
  readonly #peer: PeerSettings;
  readonly #idle: () => void;
  readonly #open = new Map<number, ClientStream>();
  /** In their order. */
  readonly #queue = new Set<ClientStream>();
  #next: number;
  readonly #windowBytes: number;
  /** None of those that wait is opened any more. */
  #isStopped = false;

  /** `first` is an odd number, `windowBytes` what a server may send on a stream; `idle` is called when the last has ended. */
  constructor(
    output: ClientOutput,
    peer: PeerSettings,
    { first, windowBytes, idle }: { readonly first: number; readonly windowBytes: number; readonly idle: () => void },
  ) {
    this.#output = output;
    this.#peer = peer;
    this.#next = first;
    this.#windowBytes = windowBytes;
    this.#idle = idle;
  }

  /** Whether no number is left. */
  get isExhausted(): boolean {
    return this.#next > maxInt31;
  }

  get isIdle(): boolean {
    return this.#open.size === 0 && this.#queue.size === 0;
  }

  open(): Iterable<ClientStream> {
    return this.#open.values();
  }

  start(stream: ClientStream): void {
    if (this.#isStopped || this.isExhausted) this.close(stream, http2Codes.REFUSED_STREAM);
    else if (this.#queue.size > 0 || this.#open.size >= this.#peer.maxStreams) this.#queue.add(stream);
    else this.#begin(stream);
  }

  /** Those that wait, as far as the server takes more. */
  openQueued(): void {
    for (const stream of this.#queue) {
      if (this.#isStopped || this.#open.size >= this.#peer.maxStreams) return;
      this.#queue.delete(stream);
      if (this.isExhausted) this.close(stream, http2Codes.REFUSED_STREAM);
      else this.#begin(stream);
    }
  }

  #begin(stream: ClientStream): void {
    stream.id = this.#next;
    this.#next += 2;
    stream.receiveWindowBytes = this.#windowBytes;
    this.#open.set(stream.id, stream);
    this.#output.begin(stream);
  }

  /** Undefined for a stream that was closed. Throws Http2Error for one that was never opened. */
  at(id: number): ClientStream | undefined {
    const isUsed = id < this.#next && id % 2 === 1;
    expectHttp2(isUsed, http2Codes.PROTOCOL_ERROR, "a frame of no stream");
    return this.#open.get(id);
  }

  /** Ends it for what the server sent on it. */
  refuse(stream: ClientStream, code: number, why?: string): void {
    this.reset(stream, code);
    stream.listener.closed(code, why);
  }

  /** Gives it up: its listener hears nothing more. */
  reset(stream: ClientStream, code: number): void {
    if (stream.id > 0) this.#output.push(resetFrame(stream.id, code));
    this.#remove(stream);
  }

  close(stream: ClientStream, code: number, why?: string): void {
    if (stream.isClosed) return;
    this.#remove(stream);
    stream.listener.closed(code, why);
  }

  /** The server looks at no stream above `last`. */
  stopAt(last: number): void {
    this.#isStopped = true;
    for (const stream of this.#queue) this.close(stream, http2Codes.REFUSED_STREAM);
    for (const stream of [...this.#open.values()]) {
      if (stream.id > last) this.close(stream, http2Codes.REFUSED_STREAM);
    }
  }

  closeAll(why: string | undefined): void {
    this.#isStopped = true;
    for (const stream of this.#queue) this.close(stream, http2Codes.REFUSED_STREAM, why);
    for (const stream of [...this.#open.values()]) this.close(stream, http2Codes.CANCEL, why);
  }

  #remove(stream: ClientStream): void {
    stream.isClosed = true;
    this.#open.delete(stream.id);
    this.#queue.delete(stream);
    this.#output.forget(stream);
    if (this.#queue.size > 0) this.openQueued();
    if (this.isIdle) this.#idle();
  }
}
