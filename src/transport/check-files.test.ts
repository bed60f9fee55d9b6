import { describe, expect, test } from "vitest";
import { findFileIssue } from "./check-files.ts";
import { createHttpClient } from "./http-client.ts";
import type { HttpClientConfig } from "./http-client-config.ts";

describe("findFileIssue", () => {
  test.each<{ title: string; http: HttpClientConfig; issue: unknown }>([
    { title: "nothing where no file is named", http: {}, issue: undefined },
    {
      title: "a file that is not there, by its key",
      http: { tls: { caFile: "/nowhere/ca.pem" } },
      issue: { path: "remote_write[1]::tls_config::ca_file", message: "/nowhere/ca.pem: file not found" },
    },
    {
      title: "a text that is no certificate, by its key",
      http: { tls: { ca: "nonsense" } },
      issue: { path: "remote_write[1]::tls_config::ca", message: expect.stringMatching(/^no usable PEM certificate/) },
    },
  ])("finds $title", async ({ http, issue }) => {
    const client = createHttpClient(http, { userAgent: "test" });
    expect(findFileIssue(client, "remote_write[1]")).toEqual(issue);
    await client.close();
  });
});
