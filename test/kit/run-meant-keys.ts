/** Labels that otelcol-contrib gets wrong: its series are compared under the right ones, so that their values count. */

import { headings } from "./run-meant-headings.ts";
import type { Observations } from "./run-observations.ts";

interface MeantKey {
  readonly heading: string;
  readonly what: string;
  /** The key as it should be; the same text where nothing is wrong. `isSeries` is false for keys of points. */
  readonly right: (key: string, isSeries: boolean) => string;
}

/** `instance` and what its `server.address` and `server.port` are. */
const urls = [
  {
    what: "address and port of an instance that is a URL",
    instance: "https://shop.example.org/path",
    wrong: ["https", "//shop.example.org/path"],
    right: ["shop.example.org", ""],
  },
  {
    what: "address and port of an instance that is a URL with a port",
    instance: "https://shop.example.org:443/path",
    wrong: ["https://shop.example.org:443/path", ""],
    right: ["shop.example.org", "443"],
  },
] as const;

const labels = (address: string, port: string) =>
  `server_address="${address}"${port === "" ? "" : `,server_port="${port}"`}`;
const attributes = (address: string, port: string) => `server.address: "${address}", server.port: "${port}"`;

export const meantKeys: readonly MeantKey[] = [
  ...urls.map(({ what, instance, wrong, right }) => ({
    heading: headings.instanceUrl,
    what,
    right: (key: string, isSeries: boolean) => {
      if (!key.includes(JSON.stringify(instance))) return key;
      const text = isSeries ? labels : attributes;
      // A processor sets the port of all resources to 0 in one of the pipelines.
      return key
        .replace(text(wrong[0], "0"), text(right[0], "0"))
        .replace(text(wrong[0], wrong[1]), text(right[0], right[1]));
    },
  })),
  {
    heading: headings.emptyTexts,
    what: "an empty separator",
    right: (key) => (/case(=|: )"empty_separator"/.test(key) ? key.replace(/both(=|: )"1;2"/, 'both$1"12"') : key),
  },
  {
    heading: headings.emptyTexts,
    what: "an empty replacement",
    right: (key) =>
      /case(=|: )"empty_replacement"/.test(key) ? key.replace(/(\ba(?:=|: )"1",) ?b(?:=|: )"1",/, "$1") : key,
  },
  {
    heading: headings.emptyTexts,
    what: "a label that is a newline",
    right: (key, isSeries) => {
      if (!/two(=|: )"a\\nb"/.test(key)) return key;
      return isSeries
        ? key.replace(/(,job="newline_label",(?:key_private="p",)?)/, '$1lines="\\n",')
        : key.replace(/^([^{]*\{.*?)\b(path|stage|two): /, '$1lines: "\\n", $2: ');
    },
  },
];

/** What otelcol-contrib wrote, under the right keys; what the rules that were needed are about is added to `seen`. */
export function underRightKeys(
  { cases, strays }: Observations,
  form: "series" | "points",
  seen: Set<string>,
): Observations {
  const rightKey = (key: string) => {
    let text = key;
    for (const { what, right } of meantKeys) {
      const changed = right(text, form === "series");
      if (changed !== text) seen.add(what);
      text = changed;
    }
    return text;
  };
  return {
    strays: new Set([...strays].map(rightKey)),
    cases: new Map(
      Array.from(cases, ([name, slots]) => [
        name,
        new Map(
          Array.from(slots, ([slot, view]) => [
            slot,
            new Map(Array.from(view, ([key, values]) => [rightKey(key), values])),
          ]),
        ),
      ]),
    ),
  };
}
