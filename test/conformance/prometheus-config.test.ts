/** Every configuration file of Prometheus' own tests gets the verdict that promtool gives it in agent mode. */

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parseYaml } from "../../src/codec/yaml/parse-yaml.ts";
import { formatConfigIssue } from "../../src/model/errors.ts";
import { decodePrometheusConfig } from "../../src/prometheus/config/decode-prometheus-config.ts";

const repoRoot = new URL("../../", import.meta.url);
const folder = fileURLToPath(new URL("../shared/conformance/prometheus-config/", repoRoot));
const files = existsSync(folder)
  ? readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".yml"))
  : [];

const promtool = [process.env["PEERS"], join(homedir(), ".cache/millrace-peers")]
  .filter((directory) => directory !== undefined && directory !== "")
  .map((directory) => join(directory ?? "", "promtool"))
  .find((path) => existsSync(path));

/** Where the name of a file does not give its verdict in agent mode with syntax checks only. */
const REFUSED_DESPITE_NAME = [
  "agent_mode.with_alert_manager.yml",
  "agent_mode.with_alert_relabels.yml",
  "agent_mode.with_remote_reads.yml",
  "agent_mode.with_rule_files.yml",
  "conf.good.yml",
  "config_with_deprecated_am_api_config.yml",
  "otlp_allow_utf8.incompatible.yml",
  "otlp_no_translation.incompatible.yml",
  "roundtrip.good.yml",
  "rules_abs_path.good.yml",
  "rules_abs_path_windows.good.yml",
];
const ACCEPTED_DESPITE_NAME = [
  "scrape_config_files_double_import.bad.yml",
  "scrape_config_files_duplicate.bad.yml",
  "scrape_config_files_global.bad.yml",
  "scrape_config_files_global_duplicate.bad.yml",
];

/** Refused by Prometheus for what stands inside discovery that is not built; such a block is accepted as it is. */
const DISCOVERY_NOT_BUILT = new Set([
  "azure_client_id_missing.bad.yml",
  "azure_client_secret_missing.bad.yml",
  "azure_subscription_id_missing.bad.yml",
  "azure_tenant_id_missing.bad.yml",
  "ec2_filters_empty_values.bad.yml",
  "eureka_invalid_server.bad.yml",
  "eureka_no_server.bad.yml",
  "kubernetes_api_server_with_own_namespace.bad.yml",
  "kubernetes_http_config_without_api_server.bad.yml",
  "kubernetes_kubeconfig_with_apiserver.bad.yml",
  "kubernetes_kubeconfig_with_http_config.bad.yml",
  "kubernetes_kubeconfig_with_own_namespace.bad.yml",
  "kubernetes_selectors_duplicated_role.bad.yml",
  "kubernetes_selectors_endpoints.bad.yml",
  "kubernetes_selectors_incorrect_selector.bad.yml",
  "kubernetes_selectors_ingress.bad.yml",
  "kubernetes_selectors_node.bad.yml",
  "kubernetes_selectors_pod.bad.yml",
  "kubernetes_selectors_service.bad.yml",
  "marathon_authtoken_authorization.bad.yml",
  "marathon_authtoken_authtokenfile.bad.yml",
  "marathon_authtoken_basicauth.bad.yml",
  "marathon_authtoken_bearertoken.bad.yml",
  "marathon_no_servers.bad.yml",
  "outscale_no_region.bad.yml",
  "outscale_no_secret.bad.yml",
  "outscale_two_secrets.bad.yml",
  "stackit_endpoint.bad.yml",
  "uyuni_no_server.bad.yml",
]);

function decode(name: string): readonly string[] {
  const path = join(folder, name);
  const { root, issues } = parseYaml(readFileSync(path, "utf8"), path, { furtherDocuments: "ignore" });
  if (issues.length > 0) return issues.map(formatConfigIssue);
  const options = { mode: "agent", basePath: [], baseDir: folder, notice: () => {}, syntaxOnly: true } as const;
  return decodePrometheusConfig(root, options).issues.map(formatConfigIssue);
}

/** The files that promtool accepts; one process judges them all, since starting it takes longer than a file does. */
function acceptedByPromtool(path: string): Set<string> {
  const { stdout } = spawnSync(path, ["check", "config", "--agent", "--syntax-only", ...files], {
    cwd: folder,
    encoding: "utf8",
  });
  const named = (pattern: RegExp) => Array.from(stdout.matchAll(pattern), ([, name]) => name ?? "");
  expect(named(/^Checking (.+)$/gm)).toEqual(files);
  return new Set(named(/^ SUCCESS: (.+) is valid prometheus config file syntax$/gm));
}

function verdictOfName(name: string): boolean {
  if (ACCEPTED_DESPITE_NAME.includes(name)) return true;
  return !name.endsWith(".bad.yml") && !REFUSED_DESPITE_NAME.includes(name);
}

describe.skipIf(files.length === 0)("the conformance files of Prometheus' configuration", () => {
  it("are all there", () => {
    expect(files.length).toBe(217);
  });

  it.each(files.filter((name) => !DISCOVERY_NOT_BUILT.has(name)))("%s gets its verdict", (name) => {
    const issues = decode(name);
    expect(issues.length === 0, issues.join("\n")).toBe(verdictOfName(name));
    for (const issue of issues) expect(issue).toMatch(/:\d+:\d+\)$/);
  });

  it.each([...DISCOVERY_NOT_BUILT])("%s is accepted, its discovery being not built", (name) => {
    expect(decode(name)).toEqual([]);
    expect(verdictOfName(name)).toBe(false);
  });

  it.skipIf(promtool === undefined)("have the verdicts of promtool itself", () => {
    const accepted = acceptedByPromtool(promtool ?? "");
    const differing = files.filter((name) => accepted.has(name) !== verdictOfName(name));
    expect(differing).toEqual([]);
  });
});
