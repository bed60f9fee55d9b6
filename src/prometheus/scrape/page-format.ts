/** The format of a target's pages, worked out anew only when their content type changes. */

import { formatOfContentType } from "../../codec/exposition/negotiate.ts";
import type { ScrapeProtocol } from "../config/types.ts";

type Format = ReturnType<typeof formatOfContentType>;

export class PageFormat {
  readonly #fallback: ScrapeProtocol | undefined;
  #contentType: string | undefined;
  #format: Format | undefined;

  constructor(fallback: ScrapeProtocol | undefined) {
    this.#fallback = fallback;
  }

  /** As `formatOfContentType` says. */
  of(contentType: string | undefined): Format {
    if (this.#format === undefined || contentType !== this.#contentType) {
      this.#contentType = contentType;
      this.#format = formatOfContentType(contentType, this.#fallback);
    }
    return this.#format;
  }
}
