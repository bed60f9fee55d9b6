/** Reads what a process says of itself: its metrics page and, of an agent, its targets. */

/** The samples of a metrics page. */
export class OwnMetrics {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** Sum over all samples of the name whose labels include the given ones; 0 where there is none. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    let sum = 0;
    for (const line of this.text.split("\n")) {
      if (!line.startsWith(name) || !/[ {]/.test(line[name.length] ?? "")) continue;
      if (!Object.entries(labels).every(([key, value]) => line.includes(`${key}=${JSON.stringify(value)}`))) continue;
      sum += Number(line.slice(line.lastIndexOf(" ") + 1));
    }
    return sum;
  }
}

/** The metrics page under `url`, which ends before the path. */
export async function readOwnMetrics(url: string): Promise<OwnMetrics> {
  return new OwnMetrics(await (await fetch(`${url}/metrics`)).text());
}

/** A target as an agent's API shows it. */
export interface ShownTarget {
  readonly scrapePool: string;
  readonly scrapeUrl: string;
  readonly health: string;
  readonly lastError: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Active targets of the agent under `url`. */
export async function readTargets(url: string): Promise<ShownTarget[]> {
  const answer = (await (await fetch(`${url}/api/v1/targets`)).json()) as { data: { activeTargets: ShownTarget[] } };
  return answer.data.activeTargets;
}
