import { CONTACTS } from './contacts.ts';
import { IDENTITY_NUMBERS } from './identity-numbers.ts';
import type { Pattern, SensitiveKind } from './pattern.ts';
import { PAYMENT_NUMBERS } from './payment-numbers.ts';
import { plainText } from './plain-text.ts';
import { SECRETS } from './secrets.ts';

/** Says what sensitive things texts contain; never where or which, so that nothing of them can end in a log. */
export interface SensitiveDetector {
  detect(texts: Iterable<string>): ReadonlySet<SensitiveKind>;
}

const PATTERNS: readonly Pattern[] = [...IDENTITY_NUMBERS, ...PAYMENT_NUMBERS, ...CONTACTS, ...SECRETS];

/** Finds the given kinds by their formats, in Chinese and English writing, and by their checksums where there are any. */
export function patternDetector(kinds: readonly SensitiveKind[], patterns = PATTERNS): SensitiveDetector {
  const wanted = patterns.filter(({ kind }) => kinds.includes(kind));
  return {
    detect: (texts) => {
      const found = new Set<SensitiveKind>();
      for (const text of texts) {
        const plain = plainText(text);
        for (const pattern of wanted)
          if (!found.has(pattern.kind) && occurs(pattern, plain)) found.add(pattern.kind);
        if (found.size === kinds.length) break;
      }
      return found;
    },
  };
}

function occurs({ expression, accepts = () => true }: Pattern, text: string): boolean {
  expression.lastIndex = 0;
  for (let match = expression.exec(text); match !== null; match = expression.exec(text)) {
    if (accepts(match[0], match)) {
      expression.lastIndex = 0;
      return true;
    }
    // What was no hit may hide one that begins inside it.
    expression.lastIndex = match.index + 1;
  }
  return false;
}
