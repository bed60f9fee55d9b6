import { expect, test } from "vitest";
import { parseNoProxy } from "./no-proxy.ts";

test.each<[list: string, host: string, port: number, needsProxy: boolean]>([
  ["", "a.example", 80, true],
  ["", "localhost", 80, false],
  ["", "127.8.8.8", 80, false],
  ["", "::1", 80, false],
  ["*", "a.example", 80, false],
  ["x, *", "a.example", 80, false],
  ["example.org", "example.org", 80, false],
  ["example.org", "a.b.example.org", 80, false],
  ["example.org", "badexample.org", 80, true],
  [" EXAMPLE.org ", "example.org", 80, false],
  [".example.org", "example.org", 80, true],
  [".example.org", "a.example.org", 80, false],
  ["*.example.org", "example.org", 80, true],
  ["*.example.org", "a.example.org", 80, false],
  ["example.org:8080", "example.org", 8080, false],
  ["example.org:8080", "example.org", 80, true],
  [".example.org:8080", "a.example.org", 8080, false],
  ["10.0.0.0/8", "10.255.0.1", 80, false],
  ["10.0.0.0/8", "11.0.0.1", 80, true],
  ["10.0.0.0/33", "10.0.0.1", 80, true],
  ["10.1.1.1", "10.1.1.1", 9100, false],
  ["10.1.1.1:9100", "10.1.1.1", 9100, false],
  ["10.1.1.1:9100", "10.1.1.1", 80, true],
  ["2001:db8::/32", "2001:db8::5", 80, false],
  ["2001:db8::5", "2001:db8:0:0::5", 80, false],
  ["[2001:db8::5]:443", "2001:db8::5", 443, false],
  ["[2001:db8::5]:443", "2001:db8::5", 80, true],
  ["a.example,,b.example", "b.example", 80, false],
  [",.,*.", "a.example", 80, true],
])("list %j, host %s:%i: through the proxy %s", (list, host, port, needsProxy) => {
  expect(parseNoProxy(list)(host, port)).toBe(needsProxy);
});
