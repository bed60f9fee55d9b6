/** Which entries share a queue on disk from start to start, and which do not. */

import { expect, test } from "vitest";
import { testRemoteWrite } from "../../prometheus/config/test-decode.ts";
import { endpointFolder } from "./endpoint-folder.ts";

const folderOf = (keys: string) => endpointFolder(testRemoteWrite(keys));

test.each([
  ["another tenant's header", "headers: {X-Scope-OrgID: a}", "headers: {X-Scope-OrgID: b}"],
  ["a tenant's header and none", "", "headers: {X-Scope-OrgID: a}"],
  ["another header of http_headers", "http_headers: {X-T: {values: [a]}}", "http_headers: {X-T: {values: [b]}}"],
  ["another user", "basic_auth: {username: a, password: x}", "basic_auth: {username: b, password: x}"],
  ["another client", ...oauthOf("a", "b")],
  ["another name", "name: a", "name: b"],
] as const)("entries with one URL and %s have queues of their own", (_title, one, other) => {
  expect(folderOf(one)).not.toBe(folderOf(other));
});

test.each([
  ["another password", "basic_auth: {username: a, password: x}", "basic_auth: {username: a, password: y}"],
  ["another key", "headers: {X-Api-Key: a}", "headers: {x-api-key: b}"],
  ["another secret header", "http_headers: {X-T: {secrets: [a]}}", "http_headers: {X-T: {secrets: [b]}}"],
  ["other limits", "remote_timeout: 1s", "queue_config: {max_shards: 3}"],
  ["headers in another order", "headers: {A: '1', B: '2'}", "headers: {B: '2', A: '1'}"],
  ["one name and other headers", "name: a, headers: {X-Scope-OrgID: a}", "name: a, headers: {X-Scope-OrgID: b}"],
])("an entry goes on with its queue when it has %s", (_title, one, other) => {
  expect(folderOf(one)).toBe(folderOf(other));
});

function oauthOf(...clients: readonly [string, string]): readonly [string, string] {
  const keys = (client: string) => `oauth2: {client_id: ${client}, client_secret: x, token_url: "http://h/t"}`;
  return [keys(clients[0]), keys(clients[1])];
}
