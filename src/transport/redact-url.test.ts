import { expect, test } from "vitest";
import { redactUrl } from "./redact-url.ts";

test.each([
  ["http://h:9100/metrics?x=1", "http://h:9100/metrics?x=1"],
  ["http://user:pass@h/", "http://xxxxx@h/"],
  ["http://token@h/", "http://xxxxx@h/"],
  [
    "http://h/p?a=1&api_key=k&access_token=t&password=p#f",
    "http://h/p?a=1&api_key=xxxxx&access_token=xxxxx&password=xxxxx",
  ],
  ["http://[::1]:80/", "http://[::1]/"],
  ["no url with s3cret", "<not a URL>"],
])("shows %s as %s", (url, expected) => {
  expect(redactUrl(url)).toBe(expected);
});
