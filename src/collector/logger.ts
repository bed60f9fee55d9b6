/** The process' log: pino, with the Collector's keys and encodings. */

import { type DestinationStream, pino } from "pino";
import type { LogFields, Logger } from "../component/telemetry.ts";

export interface LoggerOptions {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly encoding: "json" | "console" | "logfmt";
  /** `stderr`, `stdout` or file paths. */
  readonly outputPaths: readonly string[];
  readonly initialFields: LogFields;
}

/** A logger, and how to flush it before the process ends. */
export function createLogger(options: LoggerOptions): { logger: Logger; flush: () => void } {
  const targets = options.outputPaths.map(destination);
  const all: DestinationStream = {
    write(line: string) {
      for (const target of targets) target.write(line);
    },
  };
  const stream = options.encoding === "json" ? all : formatted(options.encoding, all);
  const root = pino(
    {
      level: options.level,
      base: { ...options.initialFields },
      messageKey: "msg",
      timestamp: () => `,"ts":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  );
  return {
    logger: wrap(root),
    flush: () => {
      for (const target of targets) target.flushSync();
    },
  };
}

function destination(path: string) {
  if (path === "stdout") return pino.destination({ dest: 1, sync: true });
  if (path === "stderr") return pino.destination({ dest: 2, sync: true });
  return pino.destination({ dest: path.replace(/^file:\/\//, ""), sync: true, append: true, mkdir: true });
}

interface PinoLike {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): PinoLike;
}

function wrap(target: PinoLike): Logger {
  return {
    debug: (message, fields = {}) => target.debug(plainErrors(fields), message),
    info: (message, fields = {}) => target.info(plainErrors(fields), message),
    warn: (message, fields = {}) => target.warn(plainErrors(fields), message),
    error: (message, fields = {}) => target.error(plainErrors(fields), message),
    child: (fields) => wrap(target.child(fields)),
  };
}

/** Errors as their messages: stacks are for debuggers. */
function plainErrors(fields: LogFields): object {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, value instanceof Error ? value.message : value]),
  );
}

/** Rewrites JSON lines for people (console) or as logfmt. */
function formatted(encoding: "console" | "logfmt", target: DestinationStream): DestinationStream {
  return {
    write(line: string) {
      const { level, ts, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
      if (encoding === "logfmt") {
        const pairs = Object.entries({ ts, level, msg, ...fields }).map(
          ([key, value]) => `${key}=${logfmtValue(value)}`,
        );
        target.write(`${pairs.join(" ")}\n`);
        return;
      }
      const rest = Object.keys(fields).length === 0 ? "" : `\t${JSON.stringify(fields)}`;
      target.write(`${String(ts)}\t${String(level)}\t${String(msg)}${rest}\n`);
    },
  };
}

function logfmtValue(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text);
}
