import { describe, expect, test } from "vitest";
import { isSecretPath, withoutUrlSecrets } from "./secret-keys.ts";

describe("isSecretPath", () => {
  test.each([
    [["exporters", "otlp", "headers", "x"], true],
    [["remote_write", 0, "basic_auth"], true],
    [["remote_write", 0, "basic_auth", "password"], true],
    [["remote_write", 0, "basic_auth", "password_file"], false],
    [["extensions", "bearertokenauth", "token"], true],
    [["exporters", "otlp", "auth"], true],
    [["scrape_configs", 0, "oauth2"], true],
    [["scrape_configs", 0, "oauth2", "token_url"], false],
    [["scrape_configs", 0, "scrape_interval"], false],
    [["processors", "batch", "metadata_keys"], false],
  ])("of %j is %s", (path, expected) => {
    expect(isSecretPath(path)).toBe(expected);
  });
});

describe("withoutUrlSecrets", () => {
  test.each([
    ["http://host:1/path", "http://host:1/path"],
    ["http://user:hush@host/path", "http://X@host/path"],
    ["http://hush@host", "http://X@host"],
    ["http://user:hu@sh@host/path", "http://X@host/path"],
    ["http://user:hu/sh@host/path", "http://X@host/path"],
    ["http://user:hu?sh@host/path", "http://X@host/path"],
    ["http://user:hush@${env:HOST}/path", "http://X@${env:HOST}/path"],
    ["${env:URL:-http://user:hush@host}", "${env:URL:-http://X@host}"],
    ["http://host/p@th", "http://host/p@th"],
    ["http://host/?token=hush", "http://host/?X"],
    ["http://host/?", "http://host/?"],
    ["a https://u:hush@h/ b ftp://hush@i c", "a https://X@h/ b ftp://X@i c"],
    ["user@example.org", "user@example.org"],
    ["15s", "15s"],
  ])("shows %s as %s", (text, expected) => {
    expect(withoutUrlSecrets(text, "X")).toBe(expected);
  });
});
