/** A logger whose output can be replaced while components hold on to it and to its children. */

import type { LogFields, Logger } from "../component/telemetry.ts";
import { createLogger, type LoggerOptions } from "./logger.ts";

/** Begins on standard error, until the configuration says where lines go. */
export class SwitchableLogger implements Logger {
  #current: ReturnType<typeof createLogger>;
  #options: LoggerOptions = { level: "info", encoding: "console", outputPaths: ["stderr"], initialFields: {} };

  constructor() {
    this.#current = createLogger(this.#options);
  }

  /** Lines go by these options from now on. Throws, and stays as it is, when a file cannot be opened. */
  switchTo(options: LoggerOptions): void {
    if (JSON.stringify(options) === JSON.stringify(this.#options)) return;
    const next = createLogger(options);
    this.#current.flush();
    this.#current = next;
    this.#options = options;
  }

  flush(): void {
    this.#current.flush();
  }

  debug(message: string, fields?: LogFields): void {
    this.#current.logger.debug(message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#current.logger.info(message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#current.logger.warn(message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#current.logger.error(message, fields);
  }

  child(fields: LogFields): Logger {
    return childOf(this, fields);
  }
}

function childOf(parent: Logger, own: LogFields): Logger {
  return {
    debug: (message, fields) => parent.debug(message, { ...own, ...fields }),
    info: (message, fields) => parent.info(message, { ...own, ...fields }),
    warn: (message, fields) => parent.warn(message, { ...own, ...fields }),
    error: (message, fields) => parent.error(message, { ...own, ...fields }),
    child: (fields) => childOf(parent, { ...own, ...fields }),
  };
}
