import { passesLuhn, passesMod97 } from './checksums.ts';
import { isInHexadecimal, type Pattern, SEPARATOR } from './pattern.ts';

export const PAYMENT_NUMBERS: readonly Pattern[] = [
  {
    // In one piece. Tables write it as a number, with `.0`.
    kind: 'payment-card',
    expression: /(?<![\d.]|\d-)\d{14,19}(?!\d|\.\d*[1-9])/g,
    accepts: (match, groups) => isCard(match) && !isInHexadecimal(match, groups),
  },
  {
    // In fours. Its expiry and its security code may follow; longer rows of such numbers are a table.
    kind: 'payment-card',
    expression: new RegExp(
      String.raw`(?<![\d.]|(?:\d{4}${SEPARATOR}){2})\d{4}(${SEPARATOR})\d{4}\1\d{4}\1\d{2,4}(?:\1?\d{1,3})?(?!\d|(?:\1\d{4}){2})`,
      'g',
    ),
    accepts: (match) => wholeGroups(match).some(isCard),
  },
  {
    // As American Express and Diners print it, and UnionPay: behind what names the issuer.
    kind: 'payment-card',
    expression: new RegExp(
      String.raw`(?<![\d.])(?:3\d{3}(${SEPARATOR})\d{6}\1\d{4,5}|62\d{4}${SEPARATOR}\d{10,13})(?!\d)`,
      'g',
    ),
    accepts: (match) => isCard(match.replace(/\D/g, '')),
  },
  {
    // IBAN, ISO 13616: country, check digits, national account.
    kind: 'bank-account',
    expression: /(?<![\dA-Za-z])[A-Z]{2}\d{2}(?: ?[A-Z\d]){11,30}(?![\dA-Za-z])/g,
    accepts: (match) => {
      const account = match.replace(/ /g, '');
      const length = IBAN_LENGTHS[account.slice(0, 2)];
      // What follows an account in capitals is not a part of it.
      return length !== undefined && account.length >= length && passesMod97(account.slice(0, length));
    },
  },
  {
    // Accounts without a check count beside the word that names them.
    kind: 'bank-account',
    expression:
      /(?:银行账[号户]|银行帐[号户]|银行卡号?|[账帐]号|卡号|对公账户|銀行[帳賬][號戶]|[帳賬]號|卡號)[^\d\n]{0,10}\d(?:[\s./-]{0,3}\d){9,24}(?!\d)/g,
  },
  {
    kind: 'bank-account',
    expression:
      /(?<![A-Za-z])(?:account|acct)[ _.-]?(?:number|num|no)(?![a-z])[^\d\n]{0,10}\d(?:[ ./-]{0,3}\d){6,16}(?!\d)/gi,
  },
];

/** UnionPay, Visa, Mastercard, American Express, Discover, JCB, Diners: first digits and lengths. */
const ISSUERS =
  /^(?:62\d{14,17}|81\d{14}|4\d{15}(?:\d{3})?|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|6(?:011|4[4-9]\d|5\d\d)\d{12}(?:\d{3})?|35(?:2[89]|[3-8]\d)\d{12}|3(?:0[0-5]|[68]\d)\d{11})$/;

function isCard(digits: string): boolean {
  return ISSUERS.test(digits) && passesLuhn(digits) && !isRun(digits);
}

/** All that the first groups of a grouped number spell, without the separators. */
function wholeGroups(number: string): string[] {
  return number.split(/\D+/).map((_, i, groups) => groups.slice(0, i + 1).join(''));
}

/** One digit over and over is filler. */
function isRun(digits: string): boolean {
  return new Set(digits).size === 1;
}

/** Registered countries and the length of their accounts. */
const IBAN_LENGTHS: Readonly<Record<string, number>> = {
  AD: 24,
  AE: 23,
  AL: 28,
  AT: 20,
  AZ: 28,
  BA: 20,
  BE: 16,
  BG: 22,
  BH: 22,
  BR: 29,
  BY: 28,
  CH: 21,
  CR: 22,
  CY: 28,
  CZ: 24,
  DE: 22,
  DK: 18,
  DO: 28,
  EE: 20,
  EG: 29,
  ES: 24,
  FI: 18,
  FO: 18,
  FR: 27,
  GB: 22,
  GE: 22,
  GI: 23,
  GL: 18,
  GR: 27,
  GT: 28,
  HR: 21,
  HU: 28,
  IE: 22,
  IL: 23,
  IQ: 23,
  IS: 26,
  IT: 27,
  JO: 30,
  KW: 30,
  KZ: 20,
  LB: 28,
  LC: 32,
  LI: 21,
  LT: 20,
  LU: 20,
  LV: 21,
  LY: 25,
  MC: 27,
  MD: 24,
  ME: 22,
  MK: 19,
  MR: 27,
  MT: 31,
  MU: 30,
  NL: 18,
  NO: 15,
  PK: 24,
  PL: 28,
  PS: 29,
  PT: 25,
  QA: 29,
  RO: 24,
  RS: 22,
  SA: 24,
  SC: 31,
  SE: 24,
  SI: 19,
  SK: 24,
  SM: 27,
  ST: 25,
  SV: 28,
  TL: 23,
  TN: 24,
  TR: 26,
  UA: 29,
  VA: 22,
  VG: 24,
  XK: 20,
};
