/** What a text may give away. The names are public: configuration, decisions and metrics use them. */
export const SENSITIVE_KINDS = [
  'identity-number',
  'phone',
  'payment-card',
  'bank-account',
  'secret',
  'email',
] as const;

export type SensitiveKind = (typeof SENSITIVE_KINDS)[number];

/** One format of one kind. A new format is one entry in one of the lists of this folder. */
export interface Pattern {
  readonly kind: SensitiveKind;
  /** Global. It has to run in linear time on any text: no nested quantifiers. */
  readonly expression: RegExp;
  /** Whether a match is really one: checksum, ranges. Default: any. */
  readonly accepts?: (match: string, groups: RegExpExecArray) => boolean;
}

/** What people put between the groups of a number. */
export const SEPARATOR = '(?: {1,3}| ?[-._·/] ?)';

/** A run of hexadecimal digits is a hash or an address, whatever its decimal digits would be. */
export function isInHexadecimal(match: string, { index, input }: RegExpExecArray): boolean {
  const before = /[\da-zA-Z]*$/.exec(input.slice(Math.max(0, index - WORD), index))![0];
  const after = /^[\da-zA-Z]*/.exec(input.slice(index + match.length, index + match.length + WORD))![0];
  const around = before + after;
  return around !== '' && /^[\da-fA-F]+$/.test(around);
}

const WORD = 64;
