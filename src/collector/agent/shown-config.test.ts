import { expect, test } from "vitest";
import { shownConfig } from "./shown-config.ts";

test("keeps the file as it was written, with <secret> for what is one", () => {
  const shown = shownConfig(`
global: {scrape_interval: 15s, external_labels: {region: "\${REGION}"}}
remote_write:
  - url: https://user:hush@example.org/write?token=hush
    headers: {X-Scope-OrgID: hush}
    basic_auth: {username: me, password: hush}
scrape_configs:
  - job_name: a
    authorization: {credentials: hush, type: Bearer}
    tls_config: {key_file: /etc/key.pem}
    http_headers: {X-Key: {secrets: [hush]}}
---
second: document
`);
  expect(shown).toContain("scrape_interval: 15s");
  expect(shown).toContain("region: ${REGION}");
  expect(shown).toContain("https://<secret>@example.org/write?<secret>");
  expect(shown).toContain("password: <secret>");
  expect(shown).toContain("key_file: /etc/key.pem");
  expect(shown).not.toMatch(/hush|second/);
});

test("of an empty file nothing is shown", () => {
  expect(shownConfig("")).not.toContain("secret");
});
