import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { ClientAuthenticator } from "../../component/client-auth.ts";
import type { ServerAuthenticator } from "../../component/server-auth.ts";
import { createTestContext, parseConfig } from "../../testing/test-context.ts";
import basicauth from "./basicauth.ts";
import { blowfishTables } from "./blowfish-tables.ts";
import { type Htpasswd, PasswordChecker, parseHtpasswd } from "./htpasswd.ts";

const long = "aVeryLongPasswordIndeed-with-more-than-64-bytes-in-it-for-sure-1234567890";

// Made by openssl passwd and by libcrypt.
const hashes: readonly (readonly [kind: string, password: string, hash: string])[] = [
  ["apr1", "", "$apr1$abcdefgh$L.PT565ESX4Tp2bqNs7Ie."],
  ["apr1", "a", "$apr1$abcdefgh$G8IsPsylW5ROvIKsQMRG61"],
  ["apr1", "password", "$apr1$abcdefgh$FBwExRW4dCc8aL.OvjpIE1"],
  ["apr1", long, "$apr1$abcdefgh$s3o00HR4MygsCoK7x9VCC0"],
  ["sha-256", "a", "$5$saltstring$7cz4bTeQ7MnNssphNhFVrITtuJYY/1tdvLL2uzLvOk8"],
  ["sha-256", long, "$5$saltstring$INBskJY5aQ/PqVcYZpKOpy.EzATotIA81lWc48jZv36"],
  [
    "sha-512",
    "password",
    "$6$saltstring$adDbXsJjcDlq2662QPgd.tkSOVmnG9Tt3oXl4HR60SusC3AGjirnDenVZp3DGwLwqy6iYKCzannhaX9DR72nN1",
  ],
  ["bcrypt", "secret", "$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"],
  ["sha", "password", "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="],
  ["ssha", "password", "{SSHA}yrht1iYXEIkejLVu42JWkadd80RzYWx0c2FsdA=="],
  ["plain", "plain password", "plain password"],
];

function users(hash: string): Htpasswd {
  return parseHtpasswd(`alice:${hash}`, () => {});
}

describe("hashes", () => {
  test.each(hashes)("%s knows %j and nothing else", async (_kind, password, hash) => {
    const checker = new PasswordChecker();
    for (let i = 0; i < 2; i++) {
      expect(await checker.check(users(hash), "alice", password)).toBe(true);
      expect(await checker.check(users(hash), "alice", `${password}x`)).toBe(false);
      expect(await checker.check(users(hash), "bob", password)).toBe(false);
    }
  });

  test("what was right once is not computed again, until the entry changes", async () => {
    const [, password, hash] = hashes.find(([kind]) => kind === "bcrypt") ?? ["", "", ""];
    const checker = new PasswordChecker();
    expect(checker.check(users(hash), "alice", password)).toBeInstanceOf(Promise);
    expect(await checker.check(users(hash), "alice", password)).toBe(true);
    expect(checker.check(users(hash), "alice", password)).toBe(true);
    expect(await checker.check(users(hash.replace("OQiy", "OQiz")), "alice", password)).toBe(false);
  });

  test("attempts beyond a bound are refused", async () => {
    const hash = "$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";
    const checker = new PasswordChecker();
    const answers = Array.from({ length: 20 }, (_, i) => checker.check(users(hash), "alice", `wrong ${i}`));
    const counts = { false: 0, busy: 0 };
    for (const answer of await Promise.all(answers)) counts[answer === "busy" ? "busy" : "false"] += 1;
    expect(counts).toEqual({ false: 16, busy: 4 });
  });

  test("lines that are no entries are told by their numbers", () => {
    const bad: number[] = [];
    const table = parseHtpasswd("\nalice:{SHA}x\nno colon\nbob:$2b$99$broken\nalice:second\r\n", (line) =>
      bad.push(line),
    );
    expect([bad, [...table]]).toEqual([[3, 4], [["alice", "second"]]]);
  });

  test("the tables begin as pi does", () => {
    const { subkeys, boxes } = blowfishTables();
    const hex = (word: number | undefined) => ((word ?? 0) >>> 0).toString(16);
    expect([hex(subkeys[0]), hex(subkeys[17]), hex(boxes[0]), hex(boxes[1023])]).toEqual([
      "243f6a88",
      "8979fb1b",
      "d1310ba6",
      "3ac372e6",
    ]);
  });
});

function create(section: object) {
  const kit = createTestContext(parseConfig(basicauth, section) as never, { id: "basicauth" });
  return { ...kit, extension: basicauth.create(kit.context) };
}

function header(user: string, password: string) {
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` };
}

describe("of a server", () => {
  test.each([
    [{}, "no basic auth provided"],
    [{ authorization: "Bearer x" }, "invalid authorization scheme or format"],
    [{ authorization: "Basic !" }, "invalid authorization scheme or format"],
    [{ authorization: `Basic ${Buffer.from("nocolon").toString("base64")}` }, "invalid authorization format"],
    [header("alice", "wrong"), "invalid credentials"],
    [header("alice", "pass:word"), undefined],
    [{ authorization: header("alice", "pass:word").authorization.replace("Basic", "bAsIc") }, undefined],
  ])("answers %j with %j", async (headers, answer) => {
    const { extension } = create({ htpasswd: { inline: "alice:pass:word" } });
    await extension.start?.();
    expect(await (extension as unknown as ServerAuthenticator).authenticate(headers)).toBe(answer);
  });

  test.each([
    ["username", "alice"],
    ["raw", header("alice", "pass:word").authorization.slice("Basic ".length)],
    ["password", undefined],
  ])("says of a caller its %s", (name, value) => {
    const { extension } = create({ htpasswd: { inline: "alice:pass:word" } });
    const server = extension as unknown as ServerAuthenticator;
    expect(server.callerAttribute?.(header("alice", "pass:word"), name)).toBe(value);
    expect(server.callerAttribute?.({}, name)).toBeUndefined();
  });

  test("names lines that are no entries by their numbers", async () => {
    const { extension, log } = create({ htpasswd: { inline: "alice:pass\nhush" } });
    await extension.start?.();
    expect(log.entries.map(({ fields }) => fields["lines"])).toEqual(["2"]);
    expect(JSON.stringify(log.entries)).not.toContain("hush");
  });

  test("follows its file, and inline lines win", async () => {
    const folder = mkdtempSync(join(tmpdir(), "basicauth-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "users");
    writeFileSync(file, "alice:one\nbob:two\n");
    const { extension, log } = create({ htpasswd: { file, inline: "bob:inline" } });
    const clock = vi.spyOn(performance, "now");
    onTestFinished(() => clock.mockRestore());
    clock.mockReturnValue(0);
    await extension.start?.();
    const ask = (user: string, password: string) =>
      (extension as unknown as ServerAuthenticator).authenticate(header(user, password));
    expect([ask("alice", "one"), ask("bob", "two"), ask("bob", "inline")]).toEqual([
      undefined,
      "invalid credentials",
      undefined,
    ]);
    writeFileSync(file, "alice:changed\n");
    clock.mockReturnValue(2000);
    expect([ask("alice", "one"), ask("alice", "changed")]).toEqual(["invalid credentials", undefined]);
    rmSync(file);
    clock.mockReturnValue(4000);
    expect([ask("alice", "changed"), ask("alice", "changed")]).toEqual([undefined, undefined]);
    expect(log.entries.filter(({ level }) => level === "warn")).toHaveLength(1);
  });

  test("names a file that is not there", async () => {
    const { extension } = create({ htpasswd: { file: "/nowhere/users" } });
    await expect(extension.start?.()).rejects.toThrow(
      "extensions::basicauth::htpasswd::file: /nowhere/users: file not found",
    );
  });
});

describe("of a client", () => {
  test("sends name and password, from files where they are given", () => {
    const folder = mkdtempSync(join(tmpdir(), "basicauth-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "password");
    writeFileSync(file, "from file\n");
    const { extension } = create({ client_auth: { username: "alice", password: "x", password_file: file } });
    expect((extension as unknown as ClientAuthenticator).clientHeaders()).toEqual(header("alice", "from file"));
    writeFileSync(file, "changed later");
    expect((extension as unknown as ClientAuthenticator).clientHeaders()).toEqual(header("alice", "changed later"));
  });
});

test("a client whose file is not there is named", async () => {
  const { extension } = create({ client_auth: { username_file: "/nowhere/name" } });
  await expect(extension.start?.()).rejects.toThrow(
    "extensions::basicauth::client_auth::username_file: /nowhere/name: file not found",
  );
});

test.each([
  [{}, "htpasswd or client_auth"],
  [{ htpasswd: {} }, "file or inline"],
  [{ htpasswd: { inline: "a:b" }, client_auth: { username: "a" } }, "only one"],
  [{ client_auth: { username: "a:b" } }, "without a colon"],
  [{ client_auth: { aws_secrets_manager: { secret_arn: "x" } } }, "not supported yet"],
])("refuses %j", (section, message) => {
  expect(() => parseConfig(basicauth, section)).toThrow(message);
});
