/** Credentials of clients from an extension: `auth: { authenticator: <id> }`. */

import { z } from "zod";
import { componentIdString, filledSection } from "../codec/yaml/field-types.ts";
import { ConfigError, ConsumeError, toError } from "../model/errors.ts";
import type { Host } from "./define.ts";

/** What an extension offers that gives credentials to clients. */
export interface ClientAuthenticator {
  /**
   * The headers of one request, names in lower case; asked for every request, so that changed credentials count at once.
   * Throws or rejects where there are none now.
   */
  clientHeaders(): Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>;
}

/** The `auth` key of a client. */
export function clientAuthField() {
  return filledSection(
    z.strictObject({ authenticator: componentIdString().describe("Id of the extension that gives credentials.") }),
  ).describe("Credentials from an extension.");
}

/** Finds the credentials of a client; `attach` belongs to its start, when the extensions run. */
export class ClientAuth {
  readonly #id: string | undefined;
  #authenticator: ClientAuthenticator | undefined;

  constructor(config: { readonly authenticator: string } | undefined) {
    this.#id = config?.authenticator;
  }

  /** Throws ConfigError where the extension does not run or gives no credentials; `path` is that of the client's section. */
  attach(host: Pick<Host, "extension">, path: string): void {
    if (this.#id === undefined) return;
    const extension = host.extension(this.#id);
    if (!isClientAuthenticator(extension)) {
      const name = JSON.stringify(this.#id);
      const why =
        extension === undefined
          ? `no extension ${name} is active: service::extensions has to name it`
          : `${name} gives clients no credentials`;
      throw new ConfigError([{ path: `${path}::auth::authenticator`, message: why }]);
    }
    this.#authenticator = extension;
  }

  /** The headers of one request. Rejects with a retryable ConsumeError where there are no credentials now. */
  async headers(): Promise<Readonly<Record<string, string>> | undefined> {
    if (this.#id === undefined) return undefined;
    try {
      if (this.#authenticator === undefined) throw new Error("not started");
      return await this.#authenticator.clientHeaders();
    } catch (caught) {
      const message = `no credentials from ${JSON.stringify(this.#id)}: ${toError(caught).message}`;
      throw new ConsumeError("CONSUME_REFUSED", message, { permanent: false, cause: caught });
    }
  }
}

function isClientAuthenticator(extension: unknown): extension is ClientAuthenticator {
  return (
    typeof extension === "object" &&
    extension !== null &&
    "clientHeaders" in extension &&
    typeof extension.clientHeaders === "function"
  );
}
