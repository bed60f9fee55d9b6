/** Reads a Content-Type header with the tolerance and the strictness of Go's mime.ParseMediaType. */

export interface MediaType {
  /** Lower case, e.g. `text/plain`. */
  readonly type: string;
  /** By lower-case name. */
  readonly params: ReadonlyMap<string, string>;
}

const typePattern = /^[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+(?:\/[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+)?$/;
const paramPattern =
  /[\t\n\v\f\r ]*;[\t\n\v\f\r ]*([!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+)[\t\n\v\f\r ]*=[\t\n\v\f\r ]*(?:"((?:[^"\\\r\n]|\\[()<>@,;:\\"/[\]?=]|\\(?![()<>@,;:\\"/[\]?=]))*)"|([!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+))/y;

/** The media type, or a text that says what is wrong with it. */
export function parseMediaType(header: string): MediaType | string {
  const semicolon = header.indexOf(";");
  const base = semicolon < 0 ? header : header.slice(0, semicolon);
  const type = base.trim().toLowerCase();
  if (type === "") return "no media type";
  if (!typePattern.test(type)) return "malformed media type";
  const params = new Map<string, string>();
  for (let at = base.length; header.slice(at).trim() !== ""; at = paramPattern.lastIndex) {
    paramPattern.lastIndex = at;
    const match = paramPattern.exec(header);
    if (match === null) {
      if (header.slice(at).trim() === ";") break;
      return "malformed media type parameter";
    }
    const [, rawName = "", quoted, token = ""] = match;
    const name = rawName.toLowerCase();
    const value = quoted === undefined ? token : quoted.replace(/\\([()<>@,;:\\"/[\]?=])/g, "$1");
    if (params.has(name) && params.get(name) !== value) return "duplicate media type parameter";
    params.set(name, value);
  }
  return { type, params };
}
