/** Checks a URL by the rules of Go's parser, which refuses less than WHATWG's, and shows it without its password. */

export interface UrlParts {
  /** Lower case, empty where the text has none. */
  readonly scheme: string;
  /** Host and port as written, empty where the text has none. */
  readonly host: string;
}

const BAD_ESCAPE = /%(?![0-9a-fA-F]{2})/;
const HOST_CHARACTERS = /^[A-Za-z0-9\-._~!$&'()*+,;=:[\]<>"\u0080-\uffff]*$/;
const USER_CHARACTERS = /^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/;

/** The parts of a URL, or the reason why it is none; the reason holds nothing of the text. */
export function checkUrl(text: string): UrlParts | string {
  if (/[\u0000-\u001f\u007f]/.test(text)) return "a control character in a URL";
  const withoutFragment = text.split("#", 1)[0] ?? "";
  if (withoutFragment.startsWith(":")) return "a URL without a scheme before the colon";
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(withoutFragment)?.[1]?.toLowerCase() ?? "";
  const rest = (scheme === "" ? withoutFragment : withoutFragment.slice(scheme.length + 1)).split("?", 1)[0] ?? "";
  if (!rest.startsWith("/")) {
    if (scheme !== "") return { scheme, host: "" };
    if ((rest.split("/", 1)[0] ?? "").includes(":")) return "a URL without a scheme whose first segment has a colon";
  }
  if (!rest.startsWith("//")) return BAD_ESCAPE.test(rest) ? "a bad %-escape in a URL" : { scheme, host: "" };
  const slash = rest.indexOf("/", 2);
  const authority = slash < 0 ? rest.slice(2) : rest.slice(2, slash);
  if (slash >= 0 && BAD_ESCAPE.test(rest.slice(slash))) return "a bad %-escape in a URL";
  return checkAuthority(scheme, authority);
}

function checkAuthority(scheme: string, authority: string): UrlParts | string {
  const at = authority.lastIndexOf("@");
  const host = authority.slice(at + 1);
  if (at >= 0) {
    const user = authority.slice(0, at);
    if (!USER_CHARACTERS.test(user) || BAD_ESCAPE.test(user)) return "a bad user name or password in a URL";
  }
  const port = host.startsWith("[") ? host.slice(host.lastIndexOf("]") + 1) : host.slice(colonOf(host));
  if (host.startsWith("[") && !host.includes("]")) return "an IPv6 address in a URL without its closing bracket";
  if (port !== "" && !/^:\d*$/.test(port)) return "a bad port in a URL";
  if (!HOST_CHARACTERS.test(decodeNonAscii(host))) return "a bad character in the host of a URL";
  return { scheme, host };
}

function colonOf(host: string): number {
  const colon = host.lastIndexOf(":");
  return colon < 0 ? host.length : colon;
}

/** In a host only bytes above ASCII may be escaped. */
function decodeNonAscii(host: string): string {
  return host.replace(/%[89a-fA-F][0-9a-fA-F]/g, "\u0080");
}

/** The URL with its password as `xxxxx` and blanks in its path escaped, as Prometheus shows it. */
export function redactUrl(text: string): string {
  const parts = /^([A-Za-z][A-Za-z0-9+.-]*:)?(\/\/[^/?#]*)?([^?#]*)(\?[^#]*)?(#.*)?$/s.exec(text);
  if (parts === null) return text;
  const [, scheme = "", authority = "", path = "", query = "", fragment = ""] = parts;
  const at = authority.lastIndexOf("@");
  const colon = authority.indexOf(":");
  const masked =
    at >= 0 && colon >= 0 && colon < at ? `${authority.slice(0, colon)}:xxxxx${authority.slice(at)}` : authority;
  const escapePart = (part: string): string => part.replace(/[^\u0021-\u007e]|["<>\\^`{|}]/gu, escapeCharacter);
  return scheme.toLowerCase() + masked + escapePart(path) + query + escapePart(fragment);
}

function escapeCharacter(character: string): string {
  const bytes = Buffer.from(character, "utf8");
  return Array.from(bytes, (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("");
}
