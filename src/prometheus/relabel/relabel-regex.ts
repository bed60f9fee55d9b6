/** The regular expressions of relabel rules: RE2, anchored at both ends, the dot matching everything. */

import { RE2JS } from "re2js";
import { ConfigError, toError } from "../../model/errors.ts";
import { parseSimplePattern, type SimplePattern } from "./simple-pattern.ts";
import { compileTemplate, type Groups, type Template } from "./template.ts";

/** Longest expression that is compiled, in UTF-16 units; RE2 keeps matching linear, not compiling small. */
export const maxRegexLength = 64 * 1024;

/** An expression ready for use. */
export interface RelabelRegex {
  test(text: string): boolean;
  /** The groups of a match, the whole match first, or undefined. */
  match(text: string): Groups | undefined;
  /** Prepares a template whose `$1` and `$name` are this expression's groups. */
  template(text: string): Template;
  /** The text with what matches replaced by the template. */
  replace(text: string, template: Template): string;
}

const noNames: ReadonlyMap<string, number> = new Map();

/** Compiles an expression as written in a rule. Throws ConfigError when it is not valid RE2. */
export function compileRelabelRegex(regex: string): RelabelRegex {
  const simple = parseSimplePattern(regex);
  return simple === undefined ? compileWithEngine(regex) : fromSimplePattern(simple);
}

/** What is wrong with an expression, in lower case and without a full stop, or undefined when nothing is. */
export function findRegexFault(regex: string): string | undefined {
  try {
    compileRelabelRegex(regex);
    return undefined;
  } catch (error) {
    return toError(error).message;
  }
}

function fromSimplePattern(simple: SimplePattern): RelabelRegex {
  return {
    test: simple.test,
    match: simple.match,
    template: (text) => compileTemplate(text, noNames),
    replace(text, template) {
      const groups = simple.match(text);
      return groups === undefined ? text : template.expand(groups);
    },
  };
}

function compileWithEngine(regex: string): RelabelRegex {
  const program = compileAnchored(regex);
  const names = new Map(Object.entries(program.namedGroups()));
  const groupCount = program.groupCount();
  return {
    test: (text) => program.test(text),
    match(text) {
      const matcher = program.matcher(text);
      if (!matcher.find()) return undefined;
      const groups: (string | undefined)[] = [];
      for (let i = 0; i <= groupCount; i++) groups.push(matcher.group(i) ?? undefined);
      return groups;
    },
    template: (text) => compileTemplate(text, names),
    // Text such as `a)|(b` escapes the anchors in Prometheus too, hence a match may be a part of the name.
    replace(text, template) {
      let result = "";
      let end = 0;
      for (const match of program.matchAll(text)) {
        const start = match.index ?? 0;
        result += text.slice(end, start) + template.expand(match);
        end = start + match[0].length;
      }
      return result + text.slice(end);
    },
  };
}

function compileAnchored(regex: string): RE2JS {
  if (regex.length > maxRegexLength) {
    const message = `regular expression of ${regex.length} characters, the limit is ${maxRegexLength}`;
    throw new ConfigError([{ path: "", message }]);
  }
  try {
    return RE2JS.compile(`^(?s:${regex})$`);
  } catch (error) {
    throw new ConfigError([{ path: "", message: toError(error).message }], { cause: error });
  }
}
