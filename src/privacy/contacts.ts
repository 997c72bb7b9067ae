import { isInHexadecimal, type Pattern, SEPARATOR } from './pattern.ts';

export const CONTACTS: readonly Pattern[] = [
  {
    // Mainland mobile, with or without country code, in one piece or 3-4-4. Tables write it as a number, with `.0`.
    kind: 'phone',
    expression: new RegExp(
      String.raw`(?<![\d.])(?:(?:\+|00)?86[ -]?)?1[3-9]\d(?:\d{8}|(${SEPARATOR})\d{4}\1\d{4})(?!\d|\.\d*[1-9])`,
      'g',
    ),
    accepts: (match, groups) => !isInHexadecimal(match, groups) && !isInRow(match, groups),
  },
  {
    // Mainland land line: area code with its zero, then seven or eight digits.
    kind: 'phone',
    expression:
      /(?<![\d-])(?:0(?:10|2[0-57-9]|[3-9]\d{2})-[2-8]\d{6,7}|[(（]0(?:10|2[0-57-9]|[3-9]\d{2})[)）] ?[2-8]\d{6,7})(?![\d-])/g,
  },
  {
    // North America: area and exchange begin with 2–9. In one piece only beside a word that names it.
    kind: 'phone',
    expression:
      /(?<![\d.-])(?:\+?1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-])[2-9]\d{2}[.-]\d{4}(?![\d.-]*\d)/g,
    accepts: (match) => !FICTION.test(match) && !FREE_AREA.test(match),
  },
  {
    // E.164 with its plus: a country code and at least seven digits more.
    kind: 'phone',
    expression: /(?<![\dA-Za-z+])\+[1-9]\d{0,2}(?:[ .-]?\(?\d{1,4}\)?){2,6}(?!\d)/g,
    accepts: (match) => {
      const digits = match.replace(/\D/g, '').length;
      return digits >= 10 && digits <= 15;
    },
  },
  {
    // Others beside the word that says what they are.
    kind: 'phone',
    expression:
      /(?:[电電][话話]|手[机機]|联系方式|聯絡方式|(?<![A-Za-z])(?:tele)?(?:phone|tel|mobile|cell)(?:[ _-]?(?:number|no))?(?![a-z]))[^\d\n]{0,12}\d(?:[ ./-]{0,3}\d){6,14}(?!\d)/gi,
    accepts: (match) => !FREE_NUMBER.test(match),
  },
  {
    kind: 'email',
    expression: /(?<![\w.+-])[\w.+-]{1,64}@(?:[A-Za-z\d-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])/g,
    accepts: (match) => !/@(?:[\w-]+\.)*example\.(?:com|org|net)$|\.(?:test|invalid|localhost)$/i.test(match),
  },
];

const FICTION = /555[.-]?01\d\d$/;
/** Whom it costs nothing to call is a firm: North America's, and 400, which is China's for the same. */
const FREE = '(?:400|8(?:00|33|44|55|66|77|88))';
const FREE_AREA = new RegExp(String.raw`^\D*(?:1[ .-])?\(?${FREE}\b`);
const FREE_NUMBER = new RegExp(String.raw`(?:^|\D)${FREE}[ -]?\d{3}[ -]?\d{4}$`);

/** Numbers before and behind it: three of a table. */
function isInRow(match: string, { index, input }: RegExpExecArray): boolean {
  const end = index + match.length;
  return (
    /\d[ .,·_/-]{1,2}$/.test(input.slice(Math.max(0, index - 3), index)) &&
    /^[ .,·_/-]{1,2}\d/.test(input.slice(end, end + 3))
  );
}
