/** HTTP clients that end with the test, and how their requests fail. */

import { expect, onTestFinished } from "vitest";
import { createHttpClient, type HttpClient, type HttpClientOptions } from "../../src/transport/http-client.ts";
import type { HttpClientConfig } from "../../src/transport/http-client-config.ts";
import { HttpError } from "../../src/transport/http-error.ts";

/** Our client; it ends with the test. */
export function testHttpClient(config: HttpClientConfig = {}, options: Partial<HttpClientOptions> = {}): HttpClient {
  const client = createHttpClient(config, { userAgent: "test/1", ...options });
  onTestFinished(() => client.close());
  return client;
}

/** The HttpError that this ends with; anything else fails the test. */
export async function failure(work: Promise<unknown>): Promise<HttpError> {
  const caught = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(caught).toBeInstanceOf(HttpError);
  return caught as HttpError;
}
