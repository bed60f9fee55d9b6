/** The unit of exchange of service discovery: a set of targets that came from one place. */

/** Label names to values. Made by `toLabels`, hence without a prototype: any key is safe. */
export type Labels = Readonly<Record<string, string>>;

/** What one source knows at present. A group without targets says that the source is gone. */
export interface TargetGroup {
  /** Names the group within its provider, e.g. `targets.json:0`. */
  readonly source: string;
  /** One label set a target, `__address__` among them. */
  readonly targets: readonly Labels[];
  /** Labels of all targets of the group; a target's own label of the same name wins. */
  readonly labels: Labels;
}

/** Makes a label set from entries; the last of several entries with one name stays. */
export function toLabels(entries: Iterable<readonly [string, string]>): Labels {
  const labels: Record<string, string> = Object.create(null);
  for (const [name, value] of entries) labels[name] = value;
  return labels;
}

/** Makes a group of plain addresses, as `static_configs`, files and HTTP endpoints write them. */
export function groupOfAddresses(source: string, addresses: readonly string[], labels: Labels): TargetGroup {
  return { source, targets: addresses.map((address) => toLabels([["__address__", address]])), labels };
}

function sameLabels(a: Labels, b: Labels): boolean {
  if (a === b) return true;
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  return names.every((name) => a[name] === b[name]);
}

/** True when both groups hold the same targets in the same order with the same labels. */
export function sameGroup(a: TargetGroup, b: TargetGroup): boolean {
  if (a === b) return true;
  if (a.source !== b.source || a.targets.length !== b.targets.length || !sameLabels(a.labels, b.labels)) return false;
  for (let i = 0; i < a.targets.length; i++) {
    const [left, right] = [a.targets[i], b.targets[i]];
    if (left === undefined || right === undefined || !sameLabels(left, right)) return false;
  }
  return true;
}
