import { expect, test } from "vitest";
import { resolveConfig } from "../config/resolve.ts";
import { redactedConfig } from "./redacted-config.ts";

function shown(text: string, env: Record<string, string> = {}) {
  const { root, issues } = resolveConfig({ uris: [`yaml:${text}`], sets: [], env });
  expect(issues).toEqual([]);
  return root === undefined ? undefined : redactedConfig(root, "X");
}

test.each([
  ["a: {password: hush, username: u}", { a: { password: "X", username: "u" } }],
  ["a: {headers: {Authorization: hush}}", { a: { headers: { Authorization: "X" } } }],
  ["a: {endpoint: 'http://u:hu@sh@h:1/p'}", { a: { endpoint: "http://X@h:1/p" } }],
  ["a: {endpoint: 'http://u:hush@${env:HOST}/p'}", { a: { endpoint: "http://X@${env:HOST}/p" } }],
  ["a: {endpoint: '${env:URL:-http://u:hush@h/p}'}", { a: { endpoint: "${env:URL:-http://X@h/p}" } }],
  ["a: '${yaml:{password: hush}}'", { a: "${yaml:X}" }],
  ["a: {host: '${env:HOST:-localhost}'}", { a: { host: "${env:HOST:-localhost}" } }],
  ["a: {basic_auth: 'u:hush'}", { a: { basic_auth: "X" } }],
  ["a: {client_auth: {username: u, password: hush}}", { a: { client_auth: { username: "u", password: "X" } } }],
  ["a: {auth: {authenticator: basicauth}}", { a: { auth: { authenticator: "basicauth" } } }],
  ["a: {htpasswd: {file: f, inline: hush}}", { a: { htpasswd: { file: "X", inline: "X" } } }],
])("%s is shown without secrets", (text, expected) => {
  expect(shown(text, { HOST: "hush" })).toEqual(expected);
});
