/**
 * A text as its reader takes it, for patterns to look at: digits of all scripts and shapes become 0–9, dashes and spaces
 * one of each, what cannot be seen goes, and numbers that are spelt out or spaced out digit by digit are put together.
 */
export function plainText(text: string): string {
  const plain = PLAIN.test(text) ? text : unadorned(text);
  return plain.replace(SPACED_OUT, (number, separator: string) => number.replaceAll(separator, ''));
}

function unadorned(text: string): string {
  return (
    text
      // No number is in them, and what follows takes the square of a long row of them.
      .replace(MARKS, '')
      // Full-width, circled, raised, bold … characters become the ones they stand for (Unicode's NFKC).
      .normalize('NFKC')
      .replace(INVISIBLE, '')
      .replace(/[\p{Nd}--[0-9]]/gv, (digit) => String(decimalOf(digit)))
      .replace(/[\p{Pd}\u2212]|(?<=\d)ー(?=\d)/gu, '-')
      .replace(/[\p{Zs}\p{Zl}\p{Zp}]/gu, ' ')
      .replace(SPELT_OUT, (number) => number.replace(/./gu, (digit) => String(NUMERALS.indexOf(digit) % 10)))
  );
}

/** Nothing but what a keyboard of the United States types. */
const PLAIN = /^[\t\n\r -~]*$/;
/** Marks upon other characters, and the two letters that are whole sentences. */
const MARKS = /[\p{M}\uFDFA\uFDFB]/gu;
/** Formatting, the marks that NFKC brings (´ is a blank with one), control characters, blanks that count as letters. */
const INVISIBLE = /[\p{Cf}\p{M}[\p{Cc}--[\t\n\r]]\u115F\u1160\u3164]/gv;
/** 0 to 9, four times: as they are spoken, as they are written in years and in telephone numbers, as banks write them. */
const NUMERALS = '零一二三四五六七八九〇壹贰叁肆伍陆柒捌玖○幺貳參肆伍陸柒捌玖';
/** Long enough for a number of a person. */
const SPELT_OUT = /[零一二三四五六七八九〇壹贰叁肆伍陆柒捌玖○幺貳參陸]{11,19}/g;
/** All of a row of single digits, as long as a number of a person may be. */
const SPACED_OUT = /(?<!\d[ ._-]?)\d(?=([ ._-]))(?:\1\d){10,18}(?:\1?[Xx](?![A-Za-z]))?(?!\1?\d)/g;

/** Decimal digits lie in Unicode by tens, from a zero on. */
function decimalOf(digit: string): number {
  const code = digit.codePointAt(0)!;
  let zero = code;
  while (code - zero < 9 && IS_DIGIT.test(String.fromCodePoint(zero - 1))) zero -= 1;
  return code - zero;
}

const IS_DIGIT = /^\p{Nd}$/u;
