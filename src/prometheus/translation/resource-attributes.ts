/** What the OTLP resource of a scrape target says, worked out from `job`, `instance` and the labels of discovery. */

import { BlockList, isIP } from "node:net";
import type { AttributeValue } from "../../model/attributes.ts";
import type { Label } from "../../model/identities.ts";

/** Resource attributes that discovery labels give directly. */
const kubernetesAttributes: readonly (readonly [attribute: string, ...labels: string[]])[] = [
  ["k8s.pod.name", "__meta_kubernetes_pod_name"],
  ["k8s.pod.uid", "__meta_kubernetes_pod_uid"],
  ["k8s.container.name", "__meta_kubernetes_pod_container_name"],
  ["k8s.namespace.name", "__meta_kubernetes_namespace"],
  [
    "k8s.node.name",
    "__meta_kubernetes_pod_node_name",
    "__meta_kubernetes_node_name",
    "__meta_kubernetes_endpoint_node_name",
  ],
];

const controllerAttributes: ReadonlyMap<string, string> = new Map([
  ["ReplicaSet", "k8s.replicaset.name"],
  ["DaemonSet", "k8s.daemonset.name"],
  ["StatefulSet", "k8s.statefulset.name"],
  ["Job", "k8s.job.name"],
  ["CronJob", "k8s.cronjob.name"],
]);

/** Addresses that name no host to anybody else: loopback, unspecified, link-local, multicast, broadcast. */
const indiscernible = new BlockList();
indiscernible.addSubnet("127.0.0.0", 8, "ipv4");
indiscernible.addSubnet("169.254.0.0", 16, "ipv4");
indiscernible.addSubnet("224.0.0.0", 4, "ipv4");
indiscernible.addAddress("0.0.0.0", "ipv4");
indiscernible.addAddress("255.255.255.255", "ipv4");
indiscernible.addAddress("::", "ipv6");
indiscernible.addAddress("::1", "ipv6");
indiscernible.addSubnet("fe80::", 10, "ipv6");
indiscernible.addSubnet("ff00::", 8, "ipv6");

function isDiscernible(host: string): boolean {
  const family = isIP(host);
  if (family === 0) return host !== "localhost";
  return !indiscernible.check(host, family === 4 ? "ipv4" : "ipv6");
}

/**
 * Host and port of an `instance`. Without a port, or with colons that are none, all of it is the host. An instance that
 * is a URL gives the URL's host and port (otelcol-contrib splits it at its only colon, or takes all of it for the host).
 */
export function splitInstance(instance: string): { host: string; port: string } {
  if (instance.includes("://") && URL.canParse(instance)) {
    const { hostname } = new URL(instance);
    // URL leaves the port out where it is the usual one of its scheme.
    const port = /^[^/?#]*:\/\/[^/?#]*:(\d+)(?:[/?#]|$)/.exec(instance)?.[1] ?? "";
    return { host: hostname.replace(/^\[(.*)\]$/, "$1"), port };
  }
  const bracketed = /^\[([^\]]*)\]:([^:]*)$/.exec(instance);
  const plain = bracketed ?? /^([^:[\]]*):([^:]*)$/.exec(instance);
  return plain === null ? { host: instance, port: "" } : { host: plain[1] as string, port: plain[2] as string };
}

/** Attributes of a resource; `discovered` are the labels of the target before relabeling. */
export function resourceAttributes(
  job: string,
  instance: string,
  discovered: readonly Label[],
): Map<string, AttributeValue> {
  const labels = new Map(discovered);
  const { host, port } = splitInstance(instance);
  const attributes = new Map<string, AttributeValue>([["service.name", job]]);
  if (isDiscernible(host)) attributes.set("server.address", host);
  attributes.set("service.instance.id", instance);
  // Empty where the instance has no port, as otelcol-contrib has it.
  attributes.set("server.port", port);
  attributes.set("url.scheme", labels.get("__scheme__") ?? "");
  for (const [attribute, ...sources] of kubernetesAttributes) {
    const value = sources.map((name) => labels.get(name) ?? "").find((text) => text !== "");
    if (value !== undefined) attributes.set(attribute, value);
  }
  const controller = controllerAttributes.get(labels.get("__meta_kubernetes_pod_controller_kind") ?? "");
  const name = labels.get("__meta_kubernetes_pod_controller_name") ?? "";
  if (controller !== undefined && name !== "") attributes.set(controller, name);
  return attributes;
}
