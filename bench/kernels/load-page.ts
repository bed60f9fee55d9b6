/** Pages like those of the load generator (bench/load/page.go): counters, gauges and histograms with seven labels. */

const workloads = ["checkout", "inventory", "payment-gateway", "search-frontend", "recommendation"];
const nouns = ["requests", "connections", "messages", "transactions", "sessions", "queries", "jobs", "events"];
const bounds = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"];

/** A line of the page: what stands before its value, and how the value is drawn. */
interface LoadLine {
  readonly text: string;
  readonly kind: "counter" | "gauge";
}

export interface LoadPage {
  /** Families in page order; each begins with its comments. */
  readonly families: { readonly comments: string; readonly lines: LoadLine[] }[];
}

/** A generator of numbers below `below`, the same for the same seed. */
export function createRandom(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

export function createLoadPage(series: number): LoadPage {
  const families: LoadPage["families"] = [];
  const size = Math.min(1000, Math.max(20, Math.floor(series / 100)));
  let total = 0;
  for (let f = 0; total < series; f++) {
    const wanted = Math.min(size, series - total);
    const isHistogram = f % 3 === 2 && wanted >= bounds.length + 2;
    const name = `v${f}_${nouns[f % nouns.length]}${isHistogram ? "_duration_seconds" : f % 3 === 0 ? "_total" : "_current"}`;
    const type = isHistogram ? "histogram" : f % 3 === 0 ? "counter" : "gauge";
    const lines: LoadLine[] = [];
    for (let i = 0; lines.length < wanted; i++) {
      const pod = `${workloads[i % 5]}-${((f * 7919 + i) * 40503).toString(16).padStart(8, "0")}-00000`;
      const labels =
        `{pod="${pod}",namespace="production-${i % 3}",container="${workloads[(i + 1) % 5]}",` +
        `route="/v1/${nouns[i % 8]}/${i}",method="GET",${isHistogram ? "" : 'code="200",'}zone="eu-central-1${"abc"[i % 3]}"`;
      if (!isHistogram) lines.push({ text: `${name}${labels}} `, kind: f % 3 === 0 ? "counter" : "gauge" });
      else {
        if (wanted - lines.length < bounds.length + 2) break;
        for (const le of bounds) lines.push({ text: `${name}_bucket${labels},le="${le}"} `, kind: "counter" });
        lines.push({ text: `${name}_sum${labels}} `, kind: "gauge" });
        lines.push({ text: `${name}_count${labels}} `, kind: "counter" });
      }
    }
    total += lines.length;
    families.push({ comments: `# HELP ${name} Number of ${name}, handled.\n# TYPE ${name} ${type}\n`, lines });
  }
  return { families };
}

/** A number as Go prints it with the fewest digits. */
function goText(value: number): string {
  if (value < 1e6) return String(value);
  const [mantissa, power = "0"] = value.toExponential().split("e+");
  return `${mantissa}e+${power.padStart(2, "0")}`;
}

/** The text of the page with other values, and with its lines in another order when asked. */
export function renderLoadPage(page: LoadPage, random: (below: number) => number, shuffles = false): Buffer {
  const parts: string[] = [];
  const turn = shuffles ? random(page.families.length) : 0;
  for (let f = 0; f < page.families.length; f++) {
    const { comments, lines } = page.families[(f + turn) % page.families.length] as LoadPage["families"][number];
    parts.push(comments);
    const order = [...lines];
    if (shuffles) {
      for (let i = order.length - 1; i > 0; i--) {
        const j = random(i + 1);
        [order[i], order[j]] = [order[j] as LoadLine, order[i] as LoadLine];
      }
    }
    for (const { text, kind } of order) {
      const value = kind === "counter" ? random(10 ** (3 + random(6))) : random(50_000_000) / 1000;
      parts.push(text, goText(value), "\n");
    }
  }
  return Buffer.from(parts.join(""));
}
