/** The part of `/etc/resolv.conf` that says under which names to look something up. */

/** How names that are not fully qualified are completed. */
export interface SearchRules {
  readonly search: readonly string[];
  /** A name with at least this many dots is tried as it is before the search list. */
  readonly ndots: number;
}

/** Reads the text of a resolv.conf; of several `search` or `domain` lines the last counts. */
export function parseResolvConf(text: string): SearchRules {
  let search: readonly string[] = [];
  let ndots = 1;
  for (const line of text.split("\n")) {
    const [keyword, ...values] = line.trim().split(/\s+/);
    if (keyword === "search") search = values;
    else if (keyword === "domain") search = values.slice(0, 1);
    else if (keyword === "options") ndots = findNdots(values) ?? ndots;
  }
  return { search, ndots };
}

const maxNdots = 15;

function findNdots(options: readonly string[]): number | undefined {
  for (const option of options) {
    const digits = /^ndots:(\d{1,3})$/.exec(option)?.[1];
    if (digits !== undefined) return Math.min(Number(digits), maxNdots);
  }
  return undefined;
}

/** The fully qualified names to try in order. A name that ends in a dot is itself only. */
export function candidateNames(name: string, { search, ndots }: SearchRules): string[] {
  if (name.endsWith(".")) return [name];
  const dots = name.split(".").length - 1;
  const bare = `${name}.`;
  const completed = search.map((domain) => {
    const suffix = domain.replace(/^\.+|\.+$/g, "");
    return suffix === "" ? bare : `${bare}${suffix}.`;
  });
  return dots >= ndots ? [bare, ...completed] : [...completed, bare];
}
