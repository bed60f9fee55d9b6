/** Look-ups of names, search lists and what servers may answer. */

import { describe, expect, test } from "vitest";
import { createDnsProvider, type DnsResolver, type DnsSource } from "./dns.ts";
import { recordingContext } from "./recording-context.ts";
import { candidateNames, parseResolvConf } from "./resolv-conf.ts";
import type { DnsSdConfig } from "./sd-config.ts";

type Answers = Readonly<Record<string, unknown>>;

/** Answers from a table; an Error is thrown, a name that is missing does not exist. */
function fakeDns(answers: Answers, resolvConf = ""): DnsSource & { readonly asked: string[]; cancelled: number } {
  const asked: string[] = [];
  const answer = (name: string): Promise<never> => {
    asked.push(name);
    const found = name in answers ? answers[name] : failure("ENOTFOUND");
    return found instanceof Error ? Promise.reject(found) : (Promise.resolve(found) as Promise<never>);
  };
  const source = {
    asked,
    cancelled: 0,
    readResolvConf: () => Promise.resolve(resolvConf),
    createResolver: (): DnsResolver => ({
      resolve4: answer,
      resolve6: answer,
      resolveSrv: answer,
      resolveMx: answer,
      resolveNs: answer,
      cancel: () => {
        source.cancelled++;
      },
    }),
  };
  return source;
}

function failure(code: string): Error {
  return Object.assign(new Error(`query ${code}`), { code });
}

function config(fields: Partial<DnsSdConfig>): DnsSdConfig {
  return { kind: "dns", names: ["web."], type: "A", port: 80, refreshIntervalMs: 3_600_000, ...fields };
}

async function lookUp(fields: Partial<DnsSdConfig>, source: DnsSource) {
  const context = recordingContext();
  const done = createDnsProvider(config(fields), source)(context);
  await context.nextUpdate();
  context.abort();
  await done;
  return context;
}

describe("records", () => {
  const empty = {
    __meta_dns_mx_record_target: "",
    __meta_dns_name: "web.",
    __meta_dns_ns_record_target: "",
    __meta_dns_srv_record_port: "",
    __meta_dns_srv_record_target: "",
  };
  test.each([
    ["A", ["10.0.0.1"], { __address__: "10.0.0.1:80" }],
    ["AAAA", ["fd00::1"], { __address__: "[fd00::1]:80" }],
    [
      "SRV",
      [{ name: "a.example", port: 9100 }],
      {
        __address__: "a.example:9100",
        __meta_dns_srv_record_port: "9100",
        __meta_dns_srv_record_target: "a.example.",
      },
    ],
    [
      "MX",
      [{ exchange: "mail.example." }],
      { __address__: "mail.example:80", __meta_dns_mx_record_target: "mail.example." },
    ],
    ["NS", ["ns.example"], { __address__: "ns.example:80", __meta_dns_ns_record_target: "ns.example." }],
  ] as const)("of type %s become targets", async (type, records, labels) => {
    const { updates } = await lookUp({ type }, fakeDns({ "web.": records }));
    expect(updates).toEqual([[{ source: "web.", labels: {}, targets: [{ ...empty, ...labels }] }]]);
  });
});

describe("answers", () => {
  const search = "search one.example two.example\n";
  const found = ["10.0.0.1"];
  const cases: [string, Answers, string[], number | "kept"][] = [
    ["the first name that exists counts", { "web.one.example.": found }, ["web.one.example."], 1],
    [
      "a name that does not exist lets the search go on",
      { "web.two.example.": found },
      ["web.one.example.", "web.two.example."],
      1,
    ],
    [
      "no such record ends the search without targets",
      { "web.one.example.": failure("ENODATA"), "web.two.example.": found },
      ["web.one.example."],
      0,
    ],
    [
      "a server's failure lets the search go on",
      { "web.one.example.": failure("ESERVFAIL"), "web.": found },
      ["web.one.example.", "web.two.example.", "web."],
      1,
    ],
    ["a name that exists nowhere has no targets", {}, ["web.one.example.", "web.two.example.", "web."], 0],
    [
      "one failure makes nonexistence uncertain",
      { "web.two.example.": failure("ETIMEOUT") },
      ["web.one.example.", "web.two.example.", "web."],
      "kept",
    ],
  ];
  test.each(cases)("%s", async (_title, answers, asked, targets) => {
    const dns = fakeDns(answers, search);
    const { updates, logged } = await lookUp({ names: ["web"] }, dns);
    expect(dns.asked).toEqual(asked);
    expect(updates[0]?.map((group) => group.targets.length)).toEqual(targets === "kept" ? [] : [targets]);
    expect(logged.length).toBe(targets === "kept" ? 1 : 0);
  });

  test("one name's failure leaves the others alone", async () => {
    const { updates } = await lookUp({ names: ["a.", "b."] }, fakeDns({ "a.": failure("EREFUSED"), "b.": found }));
    expect(updates[0]?.map(({ source }) => source)).toEqual(["b."]);
  });

  test("a missing resolv.conf is a failed refresh", async () => {
    const source = { ...fakeDns({}), readResolvConf: () => Promise.reject(new Error("ENOENT")) };
    const { updates, logged } = await lookUp({}, source);
    expect([updates, logged.length]).toEqual([[[]], 1]);
  });

  test("a stop cancels the questions under way", async () => {
    const asking = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<never>();
    const dns = fakeDns({});
    const resolver: DnsResolver = {
      ...dns.createResolver(),
      resolve4: () => {
        asking.resolve();
        return answer.promise;
      },
      cancel: () => answer.reject(failure("ECANCELLED")),
    };
    const context = recordingContext();
    const done = createDnsProvider(config({}), { ...dns, createResolver: () => resolver })(context);
    await asking.promise;
    context.abort();
    await done;
    expect([context.updates, context.logged]).toEqual([[], []]);
  });
});

describe("parseResolvConf", () => {
  test.each([
    ["", { search: [], ndots: 1 }],
    ["nameserver 1.1.1.1\nsearch a.b c.d\noptions ndots:5 rotate\n", { search: ["a.b", "c.d"], ndots: 5 }],
    ["search a\ndomain b c\n", { search: ["b"], ndots: 1 }],
    ["# search x\n  search a\noptions timeout:2 ndots:99\r\n", { search: ["a"], ndots: 15 }],
  ])("reads %j", (text, rules) => expect(parseResolvConf(text)).toEqual(rules));
});

describe("candidateNames", () => {
  test.each([
    ["web.", 1, ["web."]],
    ["web", 1, ["web.x.", "web.y.z.", "web."]],
    ["a.web", 1, ["a.web.", "a.web.x.", "a.web.y.z."]],
    ["a.web", 5, ["a.web.x.", "a.web.y.z.", "a.web."]],
    ["web", 0, ["web.", "web.x.", "web.y.z."]],
  ])("completes %s with ndots %i", (name, ndots, names) => {
    expect(candidateNames(name, { search: ["x", "y.z."], ndots })).toEqual(names);
  });
});
