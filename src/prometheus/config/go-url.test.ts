import { describe, expect, it } from "vitest";
import { checkUrl, redactUrl } from "./go-url.ts";

describe("checkUrl", () => {
  it.each([
    ["http://h:9090/w?x=%zz", { scheme: "http", host: "h:9090" }],
    ["HTTPS://h", { scheme: "https", host: "h" }],
    ["localhost:9090", { scheme: "localhost", host: "" }],
    ["//h/w", { scheme: "", host: "h" }],
    ["foo", { scheme: "", host: "" }],
    ["", { scheme: "", host: "" }],
    ["http://[::1]:80/", { scheme: "http", host: "[::1]:80" }],
    ["http://u:p@h/", { scheme: "http", host: "h" }],
    ["http://a@b@c/", { scheme: "http", host: "c" }],
    ["http://a_b/b c", { scheme: "http", host: "a_b" }],
    ["http://$(x)/a", { scheme: "http", host: "$(x)" }],
    ["http://<a>/", { scheme: "http", host: "<a>" }],
    ["http://", { scheme: "http", host: "" }],
    ["http://h:99999999/", { scheme: "http", host: "h:99999999" }],
  ])("accepts %j", (text, parts) => {
    expect(checkUrl(text)).toEqual(parts);
  });

  it.each([
    "127.0.0.1:9090",
    "1http://a",
    ":foo",
    "%zz",
    "http://a b",
    "http://a{b}",
    "http://a\\b",
    "http://h/%zz",
    "http://h:b/",
    "http://[::1",
    "http://[::1]80/",
    "http://%41/",
    "http://u:b c@h/",
    "http://h\u0001/",
  ])("refuses %j", (text) => {
    expect(checkUrl(text)).toBeTypeOf("string");
  });
});

describe("redactUrl", () => {
  it.each([
    ["http://u:p@h/w?x=y", "http://u:xxxxx@h/w?x=y"],
    ["http://u@h/w", "http://u@h/w"],
    ["http://h/a b?c=d e#f g", "http://h/a%20b?c=d e#f%20g"],
    ["HTTP://h:1/", "http://h:1/"],
    ["localhost:9090", "localhost:9090"],
  ])("shows %j as %j", (text, shown) => {
    expect(redactUrl(text)).toBe(shown);
  });
});
