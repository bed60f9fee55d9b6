/** Where configuration texts come from: files, environment variables, and the command line itself. */

import { closeSync, openSync, readSync } from "node:fs";
import { maxYamlLength } from "../codec/yaml/parse-yaml.ts";
import { toError } from "../model/errors.ts";

export interface ProviderInput {
  /** The environment; the process' own is used only where a caller passes it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Reads a file as text; throws when it cannot. */
  readonly readFile: (path: string) => string;
}

export type Fetched =
  | {
      readonly kind: "text";
      readonly text: string;
      readonly file: string | undefined;
      readonly unset: string | undefined;
    }
  | { readonly kind: "problem"; readonly problem: string };

export interface Location {
  readonly scheme: string;
  readonly opaque: string;
}

const locationPattern = /^([A-Za-z][A-Za-z0-9+.-]+):([\s\S]*)$/;
const environmentName = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const maxShownLength = 80;

/** Splits `scheme:rest`; undefined when there is no scheme. One letter is no scheme but a Windows drive. */
export function parseLocation(uri: string): Location | undefined {
  const match = locationPattern.exec(uri);
  return match === null ? undefined : { scheme: match[1] ?? "", opaque: match[2] ?? "" };
}

/** Fetches the text of a location. Environment values and inline YAML never appear in a problem's text. */
export function fetchText(location: Location, input: ProviderInput): Fetched {
  switch (location.scheme) {
    case "env":
      return fetchVariable(location.opaque, input);
    case "file":
      return fetchFile(location.opaque, input);
    case "yaml":
      return { kind: "text", text: location.opaque, file: undefined, unset: undefined };
    case "http":
    case "https":
      return problem(`configuration from ${location.scheme} comes later: use a file for now`);
    default:
      return problem(unknownScheme(location));
  }
}

function fetchVariable(opaque: string, input: ProviderInput): Fetched {
  const split = opaque.indexOf(":-");
  const name = split < 0 ? opaque : opaque.slice(0, split);
  if (!environmentName.test(name)) {
    return problem(
      `expected the name of an environment variable, got ${JSON.stringify(cut(name))}: write "$\${" where no reference is meant`,
    );
  }
  const value = input.env[name];
  const isUnset = value === undefined && split < 0;
  return {
    kind: "text",
    text: value ?? (split < 0 ? "" : opaque.slice(split + 2)),
    file: undefined,
    unset: isUnset ? name : undefined,
  };
}

function fetchFile(path: string, input: ProviderInput): Fetched {
  try {
    return { kind: "text", text: input.readFile(path), file: path, unset: undefined };
  } catch (caught) {
    return problem(`cannot read the file ${JSON.stringify(path)}: ${reasonOf(caught)}`);
  }
}

function unknownScheme({ scheme, opaque }: Location): string {
  const hint = opaque.startsWith("-") ? `: a default is written "\${env:${scheme}:-...}"` : "";
  return `expected env, file or yaml before the ":", got ${JSON.stringify(cut(scheme))}${hint}`;
}

function problem(text: string): Fetched {
  return { kind: "problem", problem: text };
}

function cut(text: string): string {
  return text.length > maxShownLength ? `${text.slice(0, maxShownLength)}...` : text;
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  EACCES: "permission denied",
  EISDIR: "it is a directory",
  ELOOP: "too many symbolic links",
};

function reasonOf(caught: unknown): string {
  const error = toError(caught);
  const code = "code" in error ? String(error.code) : "";
  return reasons[code] ?? error.message;
}

const chunkBytes = 64 * 1024;

/** Reads a file as UTF-8; throws when it cannot be read, is no UTF-8, or is longer than a configuration may be. */
export function readTextFile(path: string): string {
  const descriptor = openSync(path, "r");
  try {
    const chunks: Buffer[] = [];
    let total = 0;
    for (;;) {
      const chunk = Buffer.alloc(chunkBytes);
      const length = readSync(descriptor, chunk, 0, chunkBytes, null);
      if (length === 0) break;
      total += length;
      if (total > maxYamlLength) throw new Error(`longer than ${maxYamlLength} bytes`);
      chunks.push(chunk.subarray(0, length));
    }
    return decodeText(Buffer.concat(chunks));
  } finally {
    closeSync(descriptor);
  }
}

function decodeText(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new Error("not UTF-8 text", { cause });
  }
}
