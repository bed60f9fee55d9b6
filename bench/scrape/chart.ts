/** Draws rows of results as bars in SVG: CPU time per sample by shape of load, and memory per series. */

import { cpuPerMillion, type Figures } from "./figures.ts";
import type { SavedRow, SavedSubject } from "./results.ts";
import { modeRules, type Row } from "./rows.ts";
import type { SubjectName } from "./subjects.ts";

const labels: Partial<Record<SubjectName, string>> = {
  millrace: "Millrace",
  vmagent: "vmagent",
  prometheus: "Prometheus agent",
  otelcol: "otelcol-contrib",
};

interface Panel {
  readonly title: string;
  readonly rows: readonly SavedRow[];
  figure(figures: Figures): number;
}

const width = 760;
const left = 190;
const barsWidth = 500;
const barHeight = 11;
const rowGap = 12;

/** A whole SVG document, light or dark as its reader prefers. Rows of modes without peers are left out. */
export function drawChart(rows: readonly SavedRow[]): string {
  const compared = rows.filter(({ row, subjects }) => !modeRules[row.mode].alone && drawn(subjects).length > 0);
  const memory = compared.filter(({ row }) => row.mode === "plain" && row.encoding === "identity");
  const panels: Panel[] = [
    { title: "CPU seconds per million samples, scraped and remote-written", rows: compared, figure: cpuPerMillion },
    { title: "Resident KB per series", rows: memory, figure: ({ maxKbPerSeries }) => maxKbPerSeries },
  ];
  const parts: string[] = [];
  let y = 28;
  for (const panel of panels.filter((each) => each.rows.length > 0)) {
    const { svg, bottom } = drawPanel(panel, y);
    parts.push(svg);
    y = bottom + 26;
  }
  const about = compared[0];
  if (about !== undefined) {
    parts.push(
      text(16, y, `${versionsOf(compared)}`, "note"),
      text(16, y + 15, `${about.machine}; ${datesOf(compared)}. Less is better.`, "note"),
    );
    y += 15;
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y + 14}" viewBox="0 0 ${width} ${y + 14}" role="img" aria-label="CPU time per sample and memory per series of Millrace and its peers">`,
    `<style>${style}</style>`,
    `<rect class="page" width="${width}" height="${y + 14}" rx="6"/>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

const style = [
  "text{font:12px system-ui,sans-serif;fill:#1f2328}",
  ".title{font-weight:600;font-size:14px}",
  ".value{font-size:10px}",
  ".note{font-size:11px;fill:#59636e}",
  ".page{fill:#fff}",
  ".millrace{fill:#0969da}.vmagent{fill:#8250df}.prometheus{fill:#e16f24}.otelcol{fill:#8c959f}",
  "text.own{font-weight:600;font-size:10px}",
  "@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.note{fill:#9198a1}.page{fill:#0d1117}.millrace{fill:#58a6ff}}",
].join("");

function drawPanel({ title, rows, figure }: Panel, top: number): { svg: string; bottom: number } {
  const most = Math.max(...rows.flatMap(({ subjects }) => drawn(subjects).map(({ figures }) => figure(figures))));
  const parts = [text(16, top, title, "title"), legend(rows, top + 20)];
  let y = top + 36;
  for (const { row, subjects } of rows) {
    const bars = drawn(subjects);
    parts.push(text(left - 10, y + (bars.length * barHeight) / 2 + 4, labelOf(row), "", "end"));
    for (const { name, figures } of bars) {
      const value = figure(figures);
      const length = Math.max(1, (value / most) * barsWidth);
      parts.push(
        `<rect class="${name}" x="${left}" y="${y}" width="${length.toFixed(1)}" height="${barHeight - 1}"/>`,
        text(left + length + 5, y + barHeight - 2.5, value.toFixed(2), name === "millrace" ? "own" : "value"),
      );
      y += barHeight;
    }
    y += rowGap;
  }
  return { svg: parts.join("\n"), bottom: y };
}

function legend(rows: readonly SavedRow[], y: number): string {
  const names = new Set(rows.flatMap(({ subjects }) => drawn(subjects).map(({ name }) => name)));
  let x = 16;
  return [...names]
    .map((name) => {
      const label = labels[name] ?? name;
      const svg = `<rect class="${name}" x="${x}" y="${y - 9}" width="10" height="10"/>${text(x + 15, y, label, "note")}`;
      x += 35 + label.length * 6.4;
      return svg;
    })
    .join("");
}

/** Subjects that have a bar: those that delivered everything. */
function drawn(subjects: readonly SavedSubject[]): SavedSubject[] {
  return subjects.filter(
    ({ name, problem, figures }) => labels[name] !== undefined && problem === undefined && cpuPerMillion(figures) > 0,
  );
}

/** "500 x 1,000, gzip". */
export function labelOf(row: Row): string {
  const shape = `${row.targets.toLocaleString("en-US")} x ${row.series.toLocaleString("en-US")}`;
  const words: Partial<Record<Row["mode"], string>> = {
    relabel: "three rules",
    rename: "1 % renamed",
    reorder: "reordered",
    run: "millrace run",
    second: "every second",
  };
  const mode = words[row.mode] ?? (row.mode === "plain" ? undefined : row.mode);
  return [shape, row.encoding === "gzip" ? "gzip" : undefined, mode].filter((part) => part !== undefined).join(", ");
}

function versionsOf(rows: readonly SavedRow[]): string {
  const versions = new Map<string, string>();
  for (const { subjects } of rows) {
    for (const { name, version } of drawn(subjects)) versions.set(labels[name] ?? name, version);
  }
  return [...versions].map(([name, version]) => `${name} ${version}`).join(", ");
}

function datesOf(rows: readonly SavedRow[]): string {
  const dates = rows.map(({ date }) => date).sort();
  const [first = "", last = ""] = [dates[0], dates.at(-1)];
  return first === last ? first : `${first} to ${last}`;
}

function text(x: number, y: number, content: string, className: string, anchor?: string): string {
  const escaped = content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const attributes = [
    ...(className === "" ? [] : [`class="${className}"`]),
    ...(anchor === undefined ? [] : [`text-anchor="${anchor}"`]),
  ];
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}"${attributes.map((each) => ` ${each}`).join("")}>${escaped}</text>`;
}
