/** The bench of hash flooding: CPU of pages whose label values were chosen to collide, against usual ones of the same size. */

import { createTextParser } from "../../src/codec/exposition/parser.ts";
import { metricsBatch } from "../../src/model/batch.ts";
import { RequestEncoder } from "../../src/prometheus/remote-write/encode-request.ts";
import { pageSegment } from "../../src/prometheus/scrape/page-content.ts";
import { createRemoteWriteTranslator } from "../../src/prometheus/translation/remote-write-translator.ts";
import { floods, pageOf, usualValues } from "../../test/support/flooded-page.ts";
import { createPageReader } from "../../test/support/read-target-page.ts";

/** What a flooded page may cost, in usual ones. */
const bar = 3;
const rounds = 7;
/** Bounds of the histogram of a page: more than are remembered of one. */
const bounds = 1100;

/** Prints a table; whether every ratio is within the bar. */
export function benchFloods(series: number, stop: AbortSignal): boolean {
  let isWithin = true;
  console.log(
    `pages of label values that collide, ${series} series; CPU beside a usual page of the same size, best of ${rounds}`,
  );
  console.log(
    `${"new page".padStart(9)}${"moved".padStart(7)}${"known".padStart(7)}${"sent".padStart(7)}  values collide under`,
  );
  for (const { hash, values } of floods(series)) {
    if (stop.aborted) return isWithin;
    const usual = measure(usualValues(values));
    const flooded = measure(values);
    const ratios = flooded.map((ms, part) => ms / (usual[part] as number));
    // Of a few hundredths of a millisecond only the whole counts.
    const total = flooded.reduce((sum, ms) => sum + ms, 0) / usual.reduce((sum, ms) => sum + ms, 0);
    isWithin &&= total <= bar;
    const [fresh = 0, moved = 0, known = 0, sent = 0] = ratios.map((ratio) => ratio.toFixed(2));
    const columns = `${`${fresh}`.padStart(9)}${`${moved}`.padStart(7)}${`${known}`.padStart(7)}${`${sent}`.padStart(7)}`;
    console.log(`${columns}  ${hash}: ${total.toFixed(2)} in all`);
  }
  console.log(`must be at most ${bar} in all: ${isWithin ? "so it is" : "it is not"}`);
  return isWithin;
}

/** CPU milliseconds of a page that is new, that comes again in another order, that is known, and that is sent. */
function measure(values: readonly string[]): number[] {
  const page = pageOf(values, values.slice(0, bounds));
  const moved = pageOf(values.toReversed(), values.slice(0, bounds));
  const best = new Array<number>(4).fill(Number.POSITIVE_INFINITY);
  for (let round = 0; round < rounds; round++) {
    const reader = createPageReader({ hasNoRules: true });
    const read = (bytes: Buffer) => reader.page.read(bytes, bytes.length, createTextParser(bytes), false);
    const { identities } = reader;
    const encoder = new RequestEncoder(identities, 10_000);
    const translator = createRemoteWriteTranslator(translation, identities);
    const send = () => {
      const segment = pageSegment(read(moved), 1_700_000_000_000, true);
      reader.page.origin.learn(segment.layout);
      for (const one of [segment, ...translator.translate(metricsBatch([segment])).batch.segments]) {
        // The third time blocks get templates.
        for (let time = 0; time < 4; time++) {
          encoder.begin();
          encoder.add(one, { samples: 10_000, bytes: 100_000_000 }, []);
          encoder.finish();
        }
      }
    };
    const steps = [() => read(page), () => read(moved), () => read(moved), send];
    for (const [part, step] of steps.entries()) {
      const start = process.cpuUsage();
      step();
      const { user, system } = process.cpuUsage(start);
      best[part] = Math.min(best[part] as number, (user + system) / 1000);
    }
  }
  return best;
}

const translation = {
  namespace: "",
  externalLabels: {},
  translationStrategy: "",
  addMetricSuffixes: true,
  disableScopeInfo: false,
  resourceToTelemetry: { enabled: false, excludeServiceAttributes: false },
  targetInfo: true,
} as const;
