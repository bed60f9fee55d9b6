import { expect, test } from "vitest";
import { nodeFromValue } from "../../codec/yaml/parse-yaml.ts";
import { completeOtlp, otlpSchema } from "./config.ts";

test.each(["grpc", "http"])("empty tls and auth of %s are off, as in the Collector, and that is said", (protocol) => {
  const section = { protocols: { [protocol]: { tls: null, auth: null } } };
  const notices: string[] = [];
  const config = completeOtlp(otlpSchema.parse(section), {
    node: nodeFromValue(section),
    path: ["receivers", "otlp"],
    env: {},
    issue: (issue) => expect.unreachable(issue.message),
    notice: ({ path, message }) => void notices.push(`${path}: ${message}`),
  });
  expect(config.protocols).toMatchObject({ [protocol]: { tls: undefined, auth: undefined } });
  expect(notices).toEqual([
    `receivers::otlp::protocols::${protocol}::tls: is empty, so the server speaks plain text`,
    `receivers::otlp::protocols::${protocol}::auth: is empty, so callers are not checked`,
  ]);
});
