/** Shows a URL in a log or an error without what it may hide. */

const secretQueryName = /token|secret|passw|pwd|credential|signature|^sig$|api[-_]?key|access[-_]?key|^key$|^auth/i;

/** Whether a query parameter of this name may hold a secret. */
export function isSecretName(name: string): boolean {
  return secretQueryName.test(name);
}

/**
 * The URL as text with its user part and the values of query parameters that sound like secrets replaced by `xxxxx`.
 * A text that is no URL becomes `<not a URL>`: it could hold anything.
 */
export function redactUrl(url: URL | string): string {
  let shown: URL;
  try {
    shown = new URL(url);
  } catch {
    return "<not a URL>";
  }
  const user = shown.username === "" && shown.password === "" ? "" : "xxxxx@";
  const query = shown.search === "" ? "" : `?${shown.search.slice(1).split("&").map(redactPair).join("&")}`;
  return `${shown.protocol}//${user}${shown.host}${shown.pathname}${query}`;
}

/** The text of a URL as it is, but for the values of query parameters that sound like secrets. */
export function redactQuery(text: string): string {
  const start = text.indexOf("?");
  if (start < 0) return text;
  return `${text.slice(0, start)}?${text
    .slice(start + 1)
    .split("&")
    .map(redactPair)
    .join("&")}`;
}

function redactPair(pair: string): string {
  const equals = pair.indexOf("=");
  return equals > 0 && secretQueryName.test(pair.slice(0, equals)) ? `${pair.slice(0, equals)}=xxxxx` : pair;
}
