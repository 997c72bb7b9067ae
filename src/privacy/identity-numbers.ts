import { isDate, passesMod11Radix2, weightedSum } from './checksums.ts';
import type { Pattern } from './pattern.ts';

/** Between the groups of one that may go on in the next line, or in the next cell of a table. */
const GAP = String.raw`[\s,./·_-]{0,3}`;

/** Numbers that a state gives a person. Those without a checksum count only beside a word that says what they are. */
export const IDENTITY_NUMBERS: readonly Pattern[] = [
  {
    // GB 11643: six digits of place, date of birth, sequence, check. Written in groups, and over lines, too.
    kind: 'identity-number',
    expression: new RegExp(
      String.raw`(?<!\d)[1-8]\d{5}${GAP}(?:19|20)\d{2}${GAP}\d{2}${GAP}\d{2}${GAP}\d{3}[\dXx](?!\d)`,
      'g',
    ),
    accepts: (match) => {
      const number = match.replace(/[^\dXx]/g, '');
      return isMainlandPlace(number) && isDate(number.slice(6, 14)) && passesMod11Radix2(number);
    },
  },
  {
    // The older form of fifteen digits has no check.
    kind: 'identity-number',
    expression: /身份[证證][^\d\n]{0,12}([1-8]\d{14})(?!\d)/g,
    accepts: (_, [, number = '']) => isMainlandPlace(number) && isDate(`19${number.slice(6, 12)}`),
  },
  {
    // Hong Kong: one or two letters, six digits, a check in brackets.
    kind: 'identity-number',
    expression: /(?<![\dA-Za-z])([A-Z]{1,2})(\d{6})(?:\(([\dA])\)|（([\dA])）)/g,
    accepts: (_, [, letters = '', digits = '', half, full]) => {
      const code = letters.padStart(2, ' ');
      const values = [...code].map((letter) => (letter === ' ' ? 36 : letter.charCodeAt(0) - LETTER_A + 10));
      values.push(...[...digits].map(Number), Number.parseInt(half ?? full ?? '', 16));
      return weightedSum(values, [9, 8, 7, 6, 5, 4, 3, 2, 1]) % 11 === 0;
    },
  },
  {
    // Taiwan: a letter that stands for two digits, nine digits, the last one a check.
    kind: 'identity-number',
    expression: /(?<![\dA-Za-z])([A-Z])([1289]\d{8})(?![\dA-Za-z])/g,
    accepts: (_, [, letter = '', digits = '']) => {
      const place = TAIWAN_PLACES.indexOf(letter) + 10;
      const values = [Math.floor(place / 10), place % 10, ...[...digits].map(Number)];
      return weightedSum(values, [1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1]) % 10 === 0;
    },
  },
  {
    // United States social security: no check, but no area 000, 666, 900–999, no group 00, no serial 0000.
    kind: 'identity-number',
    expression: /(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])/g,
  },
  {
    kind: 'identity-number',
    expression: /\b(?:SSN|social security(?: number| no\.?)?)\b[^\d\n]{0,12}(?!000|666|9)\d{9}(?!\d)/gi,
  },
  {
    // United Kingdom national insurance.
    kind: 'identity-number',
    expression:
      /(?<![\dA-Za-z])(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D](?![\dA-Za-z])/g,
  },
  {
    // Passports, and permits to travel between the mainland, Hong Kong, Macao and Taiwan.
    kind: 'identity-number',
    expression:
      /(?:护照|護照|通行[证證]|回[乡鄉][证證]|台胞[证證]|passport)[^\dA-Za-z\n]{0,4}(?:号码|号|號碼|[ _-]?(?:no\.?|number))?[^\dA-Za-z\n]{0,6}(?:[A-Z]{1,2}\d{7,10}|\d{8,9})(?!\d)/gi,
  },
];

function isMainlandPlace(number: string): boolean {
  return MAINLAND_PROVINCES.has(number.slice(0, 2));
}

/** GB/T 2260, and 83 for Taiwan residents. */
const MAINLAND_PROVINCES = new Set(
  '11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81 82 83'.split(
    ' ',
  ),
);

/** A stands for 10, B for 11, …: not in the order of the alphabet. */
const TAIWAN_PLACES = 'ABCDEFGHJKLMNPQRSTUVXYWZIO';
const LETTER_A = 65;
