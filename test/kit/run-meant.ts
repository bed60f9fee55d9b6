/** The differences to otelcol-contrib that are meant: faults that Millrace does not repeat. Each name is a heading of docs/differences.md. */

import type { MeantDifference, RunDifference } from "./run-compare.ts";

/** Headings of `docs/differences.md`, each with why the difference stays: rows are those of "Seen when the real ones were run". */
const names = {
  // Point 8 of what the first version has to do: of duplicate samples the first is kept; with two times row 9.
  first: "Of samples with the same labels and time the first is kept",
  // Row 2.
  stale: "Staleness markers of histograms",
  // Row 3.
  externalExemplars: "Exemplars beside external labels",
  // Row 10.
  instanceUrl: "An instance that is a URL",
  // Row 4.
  emptyTexts: "Empty separator and replacement of relabel rules",
  // The one improvement that was asked for.
  rename: "Type and metadata follow a rename",
} as const;

type CaseRule = (difference: RunDifference) => boolean;

function inCases(cases: readonly string[], rule: CaseRule = () => true): CaseRule {
  const all = new Set(cases.flatMap((name) => [name, `external_${name}`, `trimmed_${name}`]));
  return (difference) => all.has(difference.name) && rule(difference);
}

const metric =
  (pattern: RegExp): CaseRule =>
  (difference) =>
    pattern.test(difference.key.replace(/^exemplar of /, "").replace(/^spaced_/, ""));

/** All differences that are meant, the narrow ones first. */
export const meantDifferences: readonly MeantDifference[] = [
  {
    name: names.stale,
    covers: ({ key, peer, own, form }) =>
      form === "series" && peer === undefined && `${own}` === "stale" && /^[^{]*_sum\{/.test(key),
  },
  { name: names.first, covers: ({ peer, own }) => isSmaller(own, peer) },
  {
    name: names.first,
    covers: inCases(
      ["duplicates", "merged", "external_conflict"],
      ({ peer, own }) => peer?.length === 1 && own?.length === 1,
    ),
  },
  { name: names.first, covers: inCases(["target_info_of_others"], metric(/^hits_total\{/)) },
  { name: names.first, covers: inCases(["spellings"], metric(/^(h(_[a-z]+)?|s)\{/)) },
  {
    name: names.externalExemplars,
    covers: ({ name, key, form, peer, own }) =>
      name.startsWith("external_") &&
      (form === "series"
        ? key.startsWith("exemplar of ") && peer === undefined
        : `${own}`.replace(/ exemplars .*/, "") === `${peer}`),
  },
  {
    name: names.instanceUrl,
    covers: inCases(["instance_url", "target_relabeled"], ({ key }) =>
      /server[._]address(=|: )"(https:\/\/)?shop\.example\.org/.test(key),
    ),
  },
  { name: names.emptyTexts, covers: inCases(["empty_separator", "empty_replacement"], metric(/^r\{/)) },
  { name: names.emptyTexts, covers: inCases(["newline_label"], ({ key }) => key.includes("a\\nb")) },
  {
    name: names.first,
    covers: inCases(["two_times", "timestamps_honored"], metric(/^(twice|thrice|mixed|sometimes|target_info)\{/)),
  },
  { name: names.first, covers: inCases(["explicit_families"], metric(/^(m|old)(_[a-z]+)?\{/)) },
  { name: names.rename, covers: inCases(["renamed_families"], metric(/^new_/)) },
  { name: names.stale, covers: inCases(["coming_histograms"], metric(/^h(_bucket)?\{/)) },
];

/** Families whose metadata differs, by the difference that is the reason. */
const meantMetadata: readonly (readonly [string, RegExp])[] = [[names.rename, /^new_/]];

/** The lines about metadata that no meant difference explains; the names of those that do are added to `seen`. */
export function unexplainedMetadata(lines: readonly string[], seen: Set<string>): string[] {
  return lines.filter((line) => {
    const entry = line.slice(line.indexOf(": ") + 2);
    const rule = meantMetadata.find(([, family]) => family.test(entry));
    if (rule !== undefined) seen.add(rule[0]);
    return rule === undefined;
  });
}

/** What observations leave out: each program names its own version. */
export const scopeVersionName = "The version of the receiver's scope";

/** All names, for the check that the documentation has them. */
export const meantNames: readonly string[] = Object.values(names);

/** Whether `part` is what is left of `whole` when some values are taken away. */
function isSmaller(part: readonly string[] | undefined, whole: readonly string[] | undefined): boolean {
  if (part === undefined || whole === undefined || part.length === 0 || part.length >= whole.length) return false;
  const left = [...whole];
  return part.every((value) => {
    const at = left.indexOf(value);
    if (at >= 0) left.splice(at, 1);
    return at >= 0;
  });
}
