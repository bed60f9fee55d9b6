/** Finds the handler of a request by method and path, and answers 404 and 405 itself. */

import type { ServerResponse } from "node:http";
import type { HttpHandler } from "./http-server.ts";

/** Routes are exact paths; a path that ends in `/*` takes everything below it, the longest one first. */
export interface Router {
  /** Adds a route; a handler of GET also answers HEAD. The last one added for a method and path wins. */
  on(method: string, path: string, handler: HttpHandler): Router;
  /** The handler for startHttpServer. */
  readonly handler: HttpHandler;
}

type Methods = Map<string, HttpHandler>;

export function createRouter(): Router {
  const exact = new Map<string, Methods>();
  const below = new Map<string, Methods>();
  const router: Router = {
    on(method, path, handler) {
      const table = path.endsWith("/*") ? below : exact;
      const key = path.endsWith("/*") ? path.slice(0, -1) : path;
      const methods = table.get(key) ?? new Map<string, HttpHandler>();
      methods.set(method.toUpperCase(), handler);
      table.set(key, methods);
      return router;
    },
    handler: (request, response) => {
      const methods = find(exact, below, pathOf(request));
      if (methods === undefined) {
        return answer(response, 404, "not found");
      }
      const method = request.method ?? "GET";
      const handler = methods.get(method) ?? (method === "HEAD" ? methods.get("GET") : undefined);
      if (handler === undefined) {
        response.setHeader("allow", allowedMethods(methods));
        return answer(response, 405, "method not allowed");
      }
      return handler(request, response);
    },
  };
  return router;
}

/** The path of a request without its query, as sent. */
export function pathOf(request: { readonly url?: string | undefined }): string {
  const target = request.url ?? "/";
  const query = target.indexOf("?");
  return query < 0 ? target : target.slice(0, query);
}

function find(exact: Map<string, Methods>, below: Map<string, Methods>, path: string): Methods | undefined {
  const found = exact.get(path);
  if (found !== undefined) {
    return found;
  }
  for (let slash = path.lastIndexOf("/"); slash >= 0; slash = slash === 0 ? -1 : path.lastIndexOf("/", slash - 1)) {
    const methods = below.get(path.slice(0, slash + 1));
    if (methods !== undefined) {
      return methods;
    }
  }
  return undefined;
}

function allowedMethods(methods: Methods): string {
  const names = new Set(methods.keys());
  if (names.has("GET")) {
    names.add("HEAD");
  }
  return [...names].sort().join(", ");
}

function answer(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(`${text}\n`);
}
