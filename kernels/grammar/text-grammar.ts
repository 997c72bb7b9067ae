import { GrammarError } from './grammar-error.ts';
import { parseRegex } from './regex.ts';
import { regexGrammar } from './regex-grammar.ts';
import type { Rules } from './rules.ts';
import { textList } from './text-list.ts';

const MOST_GRAMMAR_CHARS = 64 * 1_024;

/** Texts that match the expression as a whole. Throws GrammarError for what is not regular. */
export function regexText(pattern: string, rules: Rules): string {
  return `(${regexGrammar(parseRegex(pattern), 'plain', false, rules.add)})`;
}

/** One of several texts. */
export function choiceText(choices: readonly string[], rules: Rules): string {
  return textList(
    choices.map((choice) => choice.toWellFormed()),
    rules.add,
  );
}

/** A grammar that somebody else wrote, in xgrammar's EBNF. Whether it compiles shows in the trial. */
export function checkedGrammar(text: string): string {
  if (text.length > MOST_GRAMMAR_CHARS)
    throw new GrammarError(`has more than ${MOST_GRAMMAR_CHARS} characters`);
  if (!/^[ \t]*root[ \t]*::=/m.test(text)) throw new GrammarError('has no rule `root ::= …`');
  // Also what is never closed: each character is looked at once.
  const withoutLiterals = text.replace(/"(?:[^"\\\n]|\\.)*(?:"|\\?$|\n)/gm, '""\n');
  // See setText: the library misreads such classes.
  for (const [found] of withoutLiterals.matchAll(/\[(?:[^\]\\]|\\[\s\S])*(?:\]|\\?$)/gu))
    if (/[^\p{ASCII}]|\\u(?!00[0-7])|\\U(?!000000[0-7])|\\x[89a-fA-F]/u.test(found))
      throw new GrammarError('lists characters beyond ASCII in a class, which is not supported');
  return text;
}
