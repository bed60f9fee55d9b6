/** A text that must not be seen: whatever prints it prints `[REDACTED]`. */

import { inspect } from "node:util";

const redacted = "[REDACTED]";

/** A password, token or header value. Only `reveal()` gives the text; strings, JSON and logs get `[REDACTED]`. */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The text itself; call it where it is sent and nowhere else. */
  reveal(): string {
    return this.#text;
  }

  /** Whether both hold the same text, so that a reload can see a change. */
  equals(other: Secret): boolean {
    return this.#text === other.#text;
  }

  toString(): string {
    return redacted;
  }

  toJSON(): string {
    return redacted;
  }

  [inspect.custom](): string {
    return redacted;
  }
}
