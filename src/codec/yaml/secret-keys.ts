/** Which parts of a configuration may be secrets, by the names of their keys; and URLs as they may be shown. */

/** Keys whose values are secrets, or hold them: rather too many than one too few. */
const secretKey =
  /pass(word|wd|phrase)|secret|token|credential|api_?key|private_?key|(^|_)key(_pem|$)|_pem$|authorization|bearer|cookie|headers?$|params$|user_?info|account_?key|connection_?string|sas/i;
/** Keys that only look so: they name files, URLs, or a way to do something. */
const harmlessKey = /_file$|_files$|_url$|^metadata_keys$|^(key|from_attribute|label_name)$/i;
/** Sections of credentials: a text in the place of one is most likely a secret. */
const credentialSection = /(^|_)auth$|^oauth2$|^htpasswd$/i;

/** Whether a key's value may be a secret, or hold some. */
export function isSecretKey(key: string): boolean {
  return secretKey.test(key) && !harmlessKey.test(key);
}

/** Whether a key is one of a section with credentials. */
export function isCredentialSection(key: string): boolean {
  return credentialSection.test(key);
}

/** Whether the value at this path may be a secret, so that a message must not show it. */
export function isSecretPath(path: readonly (string | number)[]): boolean {
  const last = path.at(-1);
  if (typeof last === "string" && harmlessKey.test(last)) return false;
  return path.some((part) => typeof part === "string" && (isSecretKey(part) || isCredentialSection(part)));
}

const urlToken = /\b([a-z][a-z0-9+.-]*:\/\/)([^\s"'`]*)/gi;

/** The text with `redacted` for what URLs in it carry besides host and path: user, password, query. */
export function withoutUrlSecrets(text: string, redacted: string): string {
  return text.replace(urlToken, (_whole, scheme: string, rest: string) => {
    // Of what is no URL, the password may hold the signs that end the part before the path.
    const end = URL.canParse(scheme + rest) ? rest.search(/[/\\?#]|$/) : rest.length;
    const at = rest.lastIndexOf("@", end);
    const user = at < 0 ? "" : `${redacted}@`;
    return scheme + user + withoutQuery(rest.slice(at + 1), redacted);
  });
}

function withoutQuery(text: string, redacted: string): string {
  const query = text.indexOf("?");
  return query < 0 || query === text.length - 1 ? text : `${text.slice(0, query)}?${redacted}`;
}
