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
