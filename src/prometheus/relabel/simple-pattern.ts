/** Expressions that string functions can answer: literals, alternations of them, and a wildcard at either end. */

import type { Groups } from "./template.ts";

/** Matches a whole text or not; groups are what Go's regexp would capture. */
export interface SimplePattern {
  test(text: string): boolean;
  match(text: string): Groups | undefined;
}

type Token =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "wild"; readonly min: number }
  | { readonly kind: "open"; readonly captures: boolean }
  | { readonly kind: "close" }
  | { readonly kind: "or" };

const special = new Set("\\.+*?()|[]{}^$");
const escapable = new Set("\\.+*?()|[]{}^$-/:;,@%&=~!#\"'<> _`");

/** Undefined where the expression needs a real engine, be it valid or not. Never throws. */
export function parseSimplePattern(regex: string): SimplePattern | undefined {
  const tokens = tokenize(regex);
  if (tokens === undefined) return undefined;
  const first = tokens[0];
  if (first?.kind === "open" && closingIndex(tokens) === tokens.length - 1) {
    const inner = parseTokens(tokens.slice(1, -1));
    return inner !== undefined && first.captures ? captureWhole(inner) : inner;
  }
  return parseTokens(tokens);
}

function tokenize(regex: string): Token[] | undefined {
  const tokens: Token[] = [];
  for (let i = 0; i < regex.length; i++) {
    const char = regex.charAt(i);
    const next = regex.charAt(i + 1);
    if (char === "\\") {
      if (!escapable.has(next)) return undefined;
      tokens.push({ kind: "text", text: next });
      i++;
    } else if (char === ".") {
      if ((next !== "*" && next !== "+") || "*+?{".includes(regex.charAt(i + 2) || "-")) return undefined;
      tokens.push({ kind: "wild", min: next === "+" ? 1 : 0 });
      i++;
    } else if (char === "(") {
      const isPlain = regex.startsWith("(?:", i);
      if (!isPlain && next === "?") return undefined;
      tokens.push({ kind: "open", captures: !isPlain });
      if (isPlain) i += 2;
    } else if (char === ")") {
      if ("*+?{".includes(next || "-")) return undefined;
      tokens.push({ kind: "close" });
    } else if (char === "|") {
      tokens.push({ kind: "or" });
    } else if (special.has(char)) {
      return undefined;
    } else {
      tokens.push({ kind: "text", text: char });
    }
  }
  return tokens;
}

/** Where the group that opens at the start closes; -1 when it does not. */
function closingIndex(tokens: readonly Token[]): number {
  let depth = 0;
  for (const [index, token] of tokens.entries()) {
    if (token.kind === "open") depth++;
    if (token.kind === "close" && --depth === 0) return index;
  }
  return -1;
}

function parseTokens(tokens: readonly Token[]): SimplePattern | undefined {
  const hasGroups = tokens.some((token) => token.kind === "open" || token.kind === "close");
  if (!hasGroups) return parseAlternation(tokens);
  const sequence = parseSequence(tokens);
  return sequence === undefined ? undefined : capturing(sequence);
}

/** An optional wildcard, a literal, an optional wildcard. A minimum of -1 stands for no wildcard. */
interface Sequence {
  readonly headMin: number;
  readonly literal: string;
  readonly tailMin: number;
  readonly capturesHead: boolean;
  readonly capturesTail: boolean;
}

function parseSequence(tokens: readonly Token[]): Sequence | undefined {
  let [headMin, tailMin, literal, capturesHead, capturesTail] = [-1, -1, "", false, false];
  for (let i = 0; i < tokens.length; i++) {
    const opening = tokens[i];
    const isGroup = opening?.kind === "open";
    if (isGroup && tokens[i + 2]?.kind !== "close") return undefined;
    const token = isGroup ? tokens[i + 1] : opening;
    if (tailMin >= 0 || token === undefined) return undefined;
    const captures = isGroup && opening.captures;
    if (isGroup) i += 2;
    if (token.kind === "text" && !captures) {
      literal += token.text;
    } else if (token.kind === "wild" && literal === "" && headMin < 0) {
      headMin = token.min;
      capturesHead = captures;
    } else if (token.kind === "wild" && literal !== "") {
      tailMin = token.min;
      capturesTail = captures;
    } else {
      return undefined;
    }
  }
  return { headMin, literal, tailMin, capturesHead, capturesTail };
}

function parseAlternation(tokens: readonly Token[]): SimplePattern | undefined {
  const alternatives: Token[][] = [[]];
  for (const token of tokens) {
    if (token.kind === "or") alternatives.push([]);
    else alternatives.at(-1)?.push(token);
  }
  const sequences: Sequence[] = [];
  for (const alternative of alternatives) {
    const sequence = parseSequence(alternative);
    if (sequence === undefined) return undefined;
    sequences.push(sequence);
  }
  return withoutGroups(anyOf(sequences));
}

function anyOf(sequences: readonly Sequence[]): (text: string) => boolean {
  const literals = new Set<string>();
  const tests: ((text: string) => boolean)[] = [];
  for (const sequence of sequences) {
    if (sequence.headMin < 0 && sequence.tailMin < 0) literals.add(sequence.literal);
    else tests.push((text) => literalStart(sequence, text) >= 0);
  }
  const [only] = literals;
  if (tests.length === 0 && literals.size === 1) return (text) => text === only;
  if (tests.length === 0) return (text) => literals.has(text);
  return (text) => literals.has(text) || tests.some((test) => test(text));
}

/**
 * Where the literal of a sequence begins in a text that matches, else -1. Wildcards are greedy: the first one takes as
 * much as it can, hence the last occurrence of the literal counts.
 */
function literalStart(sequence: Sequence, text: string): number {
  const { headMin, literal, tailMin } = sequence;
  const spare = text.length - literal.length;
  if (headMin < 0) {
    if (tailMin < 0) return text === literal ? 0 : -1;
    return spare >= tailMin && text.startsWith(literal) ? 0 : -1;
  }
  if (tailMin < 0) return spare >= headMin && text.endsWith(literal) ? spare : -1;
  if (spare < headMin + tailMin) return -1;
  const start = text.lastIndexOf(literal, spare - tailMin);
  return start >= headMin ? start : -1;
}

function withoutGroups(test: (text: string) => boolean): SimplePattern {
  return { test, match: (text) => (test(text) ? [text] : undefined) };
}

function capturing(sequence: Sequence): SimplePattern {
  return {
    test: (text) => literalStart(sequence, text) >= 0,
    match(text) {
      const start = literalStart(sequence, text);
      if (start < 0) return undefined;
      const groups = [text];
      if (sequence.capturesHead) groups.push(text.slice(0, start));
      if (sequence.capturesTail) groups.push(text.slice(start + sequence.literal.length));
      return groups;
    },
  };
}

function captureWhole(inner: SimplePattern): SimplePattern {
  return {
    test: inner.test,
    match(text) {
      const groups = inner.match(text);
      return groups === undefined ? undefined : [text, ...groups];
    },
  };
}
