/** Servers that only answer who proves to be entitled: they serve a page to scrapers and take remote writes. */

import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { TLSSocket } from "node:tls";

/** What a guard saw of the requests it let pass. */
export class Guard {
  scrapes = 0;
  writes = 0;
  refused = 0;
  /** Subjects of client certificates, each once, in order. */
  readonly subjects: string[] = [];
  /** Whether the request proves enough; replaced by tests to rotate secrets. */
  allows: (request: IncomingMessage) => boolean;

  constructor(allows: (request: IncomingMessage) => boolean = () => true) {
    this.allows = allows;
  }

  readonly listener: RequestListener = (request, response) => {
    request.resume();
    request.on("end", () => this.#answer(request, response));
  };

  #answer(request: IncomingMessage, response: ServerResponse): void {
    if (!this.allows(request)) {
      this.refused += 1;
      response.writeHead(401).end("who are you?");
      return;
    }
    const socket = request.socket as Partial<TLSSocket>;
    const subject = socket.getPeerCertificate?.()?.subject?.CN;
    const name = Array.isArray(subject) ? subject[0] : subject;
    if (name !== undefined && !this.subjects.includes(name)) this.subjects.push(name);
    if (request.method === "POST") {
      this.writes += 1;
      response.writeHead(204).end();
      return;
    }
    this.scrapes += 1;
    response.writeHead(200, { "content-type": "text/plain; version=0.0.4" }).end(`guarded ${this.scrapes}\n`);
  }
}

/** Whether the request carries the header. */
export function carries(name: string, value: string): (request: IncomingMessage) => boolean {
  return ({ headers }) => headers[name] === value;
}

/** Issues bearer tokens for a client id and secret; each lives a few seconds. */
export class TokenIssuer {
  readonly #prefix: string;
  readonly #credentials: string;
  issued = 0;

  constructor(clientId: string, clientSecret: string, prefix: string) {
    this.#credentials = `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString("base64")}`;
    this.#prefix = prefix;
  }

  get current(): string {
    return `${this.#prefix}${this.issued}`;
  }

  readonly listener: RequestListener = (request, response) => {
    request.resume();
    request.on("end", () => {
      if (request.headers.authorization !== this.#credentials) {
        response.writeHead(401).end();
        return;
      }
      this.issued += 1;
      const answer = { access_token: this.current, token_type: "Bearer", expires_in: 3600 };
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
    });
  };

  /** Whether the request carries a token that was issued. */
  readonly accepts = ({ headers }: IncomingMessage): boolean =>
    headers.authorization?.startsWith(`Bearer ${this.#prefix}`) === true;
}
