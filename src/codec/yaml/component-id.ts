/** Component ids as the Collector writes them: `type` or `type/name`. */

/** The parts of a component id; `name` is empty when there is none. */
export interface ComponentId {
  readonly type: string;
  readonly name: string;
}

export type ParsedComponentId =
  | { readonly id: ComponentId; readonly problem: undefined }
  | { readonly id: undefined; readonly problem: string };

const typePattern = /^[a-zA-Z][0-9a-zA-Z_]{0,62}$/;
const badNameCharacter = /[\p{Z}\p{C}\p{S}]/u;
const maxNameLength = 1024;

/** Splits `type/name` and checks both parts; blanks around a part do not count. */
export function parseComponentId(text: string): ParsedComponentId {
  const slash = text.indexOf("/");
  const type = (slash < 0 ? text : text.slice(0, slash)).trim();
  const name = slash < 0 ? "" : text.slice(slash + 1).trim();
  if (type === "") return problem(`expected a component id such as "otlp" or "otlp/2", got ${shown(text)}`);
  if (!typePattern.test(type)) {
    return problem(
      `expected a component type of letters, digits and "_" that begins with a letter, got ${shown(type)}`,
    );
  }
  if (slash >= 0 && name === "") return problem(`expected a name behind the "/", got ${shown(text)}`);
  if ([...name].length > maxNameLength) return problem(`expected a name of at most ${maxNameLength} characters`);
  if (badNameCharacter.test(name))
    return problem(`expected a name without blanks, control characters and symbols, got ${shown(name)}`);
  return { id: { type, name }, problem: undefined };
}

/** Writes an id as `type` or `type/name`. */
export function formatComponentId(id: ComponentId): string {
  return id.name === "" ? id.type : `${id.type}/${id.name}`;
}

function problem(message: string): ParsedComponentId {
  return { id: undefined, problem: message };
}

function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
}
