import { describe, expect, it } from "vitest";
import { resourceAttributes, splitInstance } from "./resource-attributes.ts";

describe("splitInstance", () => {
  it.each([
    ["example.org:80", "example.org", "80"],
    ["example.org", "example.org", ""],
    ["[2001:db8::1]:99", "2001:db8::1", "99"],
    ["2001:db8::1", "2001:db8::1", ""],
    ["a:b:c", "a:b:c", ""],
    [":80", "", "80"],
    ["https://example.org/x", "example.org", ""],
    ["http://example.org:8080/x", "example.org", "8080"],
    ["https://example.org:443/x", "example.org", "443"],
    ["http://[2001:db8::1]/x:9", "2001:db8::1", ""],
    ["http://[2001:db8::1]:80", "2001:db8::1", "80"],
  ])("splits %j into host %j and port %j", (instance, host, port) => {
    expect(splitInstance(instance)).toEqual({ host, port });
  });
});

describe("resourceAttributes", () => {
  const attributes = (instance: string, labels: [string, string][] = []) =>
    Object.fromEntries(resourceAttributes("j", instance, labels));

  it("names service, instance, address, port and scheme", () => {
    expect(attributes("example.org:80", [["__scheme__", "https"]])).toEqual({
      "service.name": "j",
      "service.instance.id": "example.org:80",
      "server.address": "example.org",
      "server.port": "80",
      "url.scheme": "https",
    });
  });

  it.each(["localhost:80", "127.0.0.1:80", "0.0.0.0:80", "[::1]:80", "[::]:80", "169.254.1.1:80", "[fe80::1]:80"])(
    "gives no address for %s",
    (instance) => {
      expect(attributes(instance)).not.toHaveProperty("server.address");
    },
  );

  it.each(["10.0.0.1:80", "[2001:db8::1]:80", "host:80", "256.0.0.1:80"])("gives an address for %s", (instance) => {
    expect(attributes(instance)).toHaveProperty("server.address");
  });

  it("maps labels of Kubernetes discovery", () => {
    expect(
      attributes("localhost", [
        ["__meta_kubernetes_pod_name", "p"],
        ["__meta_kubernetes_pod_uid", "u"],
        ["__meta_kubernetes_pod_container_name", "c"],
        ["__meta_kubernetes_namespace", "n"],
        ["__meta_kubernetes_pod_node_name", ""],
        ["__meta_kubernetes_node_name", "node"],
        ["__meta_kubernetes_pod_controller_kind", "DaemonSet"],
        ["__meta_kubernetes_pod_controller_name", "d"],
      ]),
    ).toMatchObject({
      "k8s.pod.name": "p",
      "k8s.pod.uid": "u",
      "k8s.container.name": "c",
      "k8s.namespace.name": "n",
      "k8s.node.name": "node",
      "k8s.daemonset.name": "d",
    });
  });
});
