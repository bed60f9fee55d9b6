/** Replaces environment variables in the values of external labels, by the rules of Go's `os.Expand`. */

const REFERENCE = /\$(?:\$|\{([^}]*)\}|\{|([*#@!?0-9-])|([A-Za-z_][A-Za-z0-9_]*))/g;

/**
 * `$X` and `${X}` become the variable's value, `$$` a dollar sign, and a malformed reference is taken out.
 * `missing` names the variables that are empty or not set, which become nothing.
 */
export function expandEnv(
  text: string,
  env: (name: string) => string | undefined,
): { readonly text: string; readonly missing: string[] } {
  const missing: string[] = [];
  const expanded = text.replace(REFERENCE, (match, braced?: string, special?: string, name?: string) => {
    if (match === "$$" || braced === "$") return "$";
    const variable = braced ?? special ?? name ?? "";
    if (variable === "") return "";
    const value = env(variable) ?? "";
    if (value === "") missing.push(variable);
    return value;
  });
  return { text: expanded, missing };
}
