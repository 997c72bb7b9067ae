import type { Pattern } from './pattern.ts';

export const CONTACTS: readonly Pattern[] = [
  {
    // Mainland mobile, with or without country code, in one piece or 3-4-4.
    kind: 'phone',
    expression:
      /(?<![\dA-Za-z.])(?:(?:\+|00)?86[ -]?)?1[3-9]\d(?:\d{8}|[ -]\d{4}[ -]\d{4})(?![\dA-Za-z]|\.\d)/g,
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
    accepts: (match) => !/555-?01\d\d$/.test(match),
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
    kind: 'phone',
    expression:
      /(?:电话|手机|联系方式|\b(?:phone|tel|mobile|cell)\b)[^\d\n]{0,12}\d(?:[ -]?\d){6,14}(?!\d)/gi,
  },
  {
    kind: 'email',
    expression: /(?<![\w.+-])[\w.+-]{1,64}@(?:[A-Za-z\d-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])/g,
    accepts: (match) => !/@(?:[\w-]+\.)*example\.(?:com|org|net)$|\.(?:test|invalid|localhost)$/i.test(match),
  },
];
