import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import type { ClientAuthenticator } from "../../component/client-auth.ts";
import type { ServerAuthenticator } from "../../component/server-auth.ts";
import { createTestContext, parseConfig } from "../../testing/test-context.ts";
import bearertokenauth from "./bearertokenauth.ts";

function create(section: object) {
  const kit = createTestContext(parseConfig(bearertokenauth, section) as never, { id: "bearertokenauth" });
  const extension = bearertokenauth.create(kit.context);
  return { ...kit, extension: extension as typeof extension & ServerAuthenticator & ClientAuthenticator };
}

const mismatch = "scheme or token does not match";

test.each([
  [{ token: "abc" }, { authorization: "Bearer abc" }, undefined],
  [{ token: "abc" }, { authorization: "Bearer abd" }, mismatch],
  [{ token: "abc" }, { authorization: "abc" }, mismatch],
  [{ token: "abc" }, {}, "missing or empty header: authorization"],
  [{ token: "abc", scheme: "" }, { authorization: "abc" }, undefined],
  [{ token: "abc", scheme: "Token" }, { authorization: "Token abc" }, undefined],
  [{ token: "abc", header: "X-Api-Key", scheme: "" }, { "x-api-key": ["abc"] }, undefined],
  [{ tokens: ["a", "b"] }, { authorization: "Bearer b" }, undefined],
  [{ tokens: ["a", ""] }, { authorization: "Bearer " }, mismatch],
])("%j answers %j with %j", (section, headers, answer) => {
  expect(create(section).extension.authenticate(headers)).toBe(answer);
});

test("gives clients the first token", () => {
  expect(create({ tokens: ["a", "b"] }).extension.clientHeaders()).toEqual({ authorization: "Bearer a" });
  expect(create({ token: "a", header: "X-Key", scheme: "" }).extension.clientHeaders()).toEqual({ "x-key": "a" });
});

test("follows its file and keeps what it has while there is none", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bearertokenauth-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const filename = join(folder, "tokens");
  const clock = vi.spyOn(performance, "now");
  onTestFinished(() => clock.mockRestore());
  clock.mockReturnValue(0);
  const { extension, log } = create({ filename, token: "ignored" });
  await expect(extension.start?.()).rejects.toThrow("extensions::bearertokenauth::filename: ");
  writeFileSync(filename, "one\n two \n\n");
  await extension.start?.();
  const ask = (token: string) => extension.authenticate({ authorization: `Bearer ${token}` });
  expect([ask("one"), ask("two"), ask("ignored"), ask("")]).toEqual([undefined, undefined, mismatch, mismatch]);
  writeFileSync(filename, "three");
  clock.mockReturnValue(2000);
  expect([ask("one"), ask("three")]).toEqual([mismatch, undefined]);
  expect(extension.clientHeaders()).toEqual({ authorization: "Bearer three" });
  rmSync(filename);
  clock.mockReturnValue(4000);
  expect(ask("three")).toBeUndefined();
  clock.mockReturnValue(6000);
  expect(ask("three")).toBeUndefined();
  expect(log.entries.map(({ message }) => message)).toEqual(["Cannot read tokens again"]);
});

test.each([
  [{}, "token, tokens or filename"],
  [{ token: "" }, "token, tokens or filename"],
  [{ token: "a", tokens: ["b"] }, "not possible together"],
  [{ token: "a", header: "no header" }, "header name"],
])("refuses %j", (section, message) => {
  expect(() => parseConfig(bearertokenauth, section)).toThrow(message);
});
