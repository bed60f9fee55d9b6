/** What every component must do, as tests for any runner. The numbers are those of docs/component-spec.md. */

import type { AnyDefinition } from "../component/define.ts";
import type { Signal } from "../model/otlp-request.ts";
import { checkDefinition, checkDescriptions, checkExample, checkUnknownKeys } from "./contract-config.ts";
import { checkAnswers, checkDeadline, checkImmutable, checkPendingCalls } from "./contract-data.ts";
import { checkCreate, checkLives, checkMetricNames, checkShutdownBeforeStart } from "./contract-life.ts";

export interface ContractOptions {
  /** The section of the component's `example.yaml`, as plain values; `{}` unless given. */
  readonly example?: unknown;
  /** The section to run the component with: loopback, port 0, temporary folders. The example unless given. */
  readonly config?: unknown;
  /** False for a processor or connector that drops or makes rows by design: then only doubling is checked. */
  readonly keepsRows?: boolean;
  /**
   * For an exporter: after it was shut down, the values of all points that arrived at its destination, or the numbers N in
   * all the texts `item-N.`, which are the names of spans and the bodies of log records.
   */
  delivered?(signal: Signal): Promise<readonly number[]> | readonly number[];
}

export interface ContractTest {
  /** The number of the rule in docs/component-spec.md. */
  readonly number: number;
  readonly title: string;
  /** Rejects with an error that says what is wrong. */
  run(): Promise<void>;
}

type Check = (definition: AnyDefinition, options: ContractOptions) => void | Promise<void>;

interface Rule {
  readonly number: number;
  readonly title: string;
  readonly check: Check;
  /** Kinds of components that take data; absent, all. */
  readonly kinds?: readonly AnyDefinition["kind"][];
}

const consumers = ["processor", "connector"] as const;

const rules: readonly Rule[] = [
  { number: 1, title: "is defined by data: type, kind, signals", check: checkDefinition },
  { number: 2, title: "describes every configuration key", check: checkDescriptions },
  { number: 3, title: "refuses a misspelt key by name", check: checkUnknownKeys },
  { number: 4, title: "accepts its example", check: checkExample },
  { number: 5, title: "does no I/O when it is created", check: checkCreate },
  { number: 6, title: "can be shut down before it starts, twice", check: checkShutdownBeforeStart },
  { number: 7, title: "starts, stops twice, starts anew, and leaves nothing open", check: checkLives },
  {
    number: 8,
    title: "hands on everything once when the next component accepts",
    check: checkAnswers("accept"),
    kinds: [...consumers, "exporter"],
  },
  {
    number: 9,
    title: "passes on that the next component refuses for now",
    check: checkAnswers("retryable"),
    kinds: consumers,
  },
  {
    number: 10,
    title: "passes on that the next component refuses for good",
    check: checkAnswers("permanent"),
    kinds: consumers,
  },
  {
    number: 11,
    title: "loses and doubles nothing when the next component does all of this in turn",
    check: checkAnswers("mixed"),
    kinds: consumers,
  },
  { number: 12, title: "never changes what it was handed", check: checkImmutable, kinds: [...consumers, "exporter"] },
  { number: 13, title: "answers every pending call at shutdown", check: checkPendingCalls, kinds: consumers },
  { number: 14, title: "ends by the deadline when the next component hangs", check: checkDeadline, kinds: consumers },
  { number: 15, title: "names its own metrics with a known prefix and explains them", check: checkMetricNames },
];

/** The tests for a component; run each under a runner, or one after another. */
export function contractTests(definition: AnyDefinition, options: ContractOptions = {}): ContractTest[] {
  return rules
    .filter((rule) => rule.kinds?.includes(definition.kind) ?? true)
    .map(({ number, title, check }) => ({
      number,
      title: `${definition.kind} ${definition.type} ${title} (${number})`,
      run: async () => check(definition, options),
    }));
}
