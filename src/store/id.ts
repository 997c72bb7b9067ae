import { randomInt } from 'node:crypto';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const LENGTH = 24;

/** Of an organization, a project, a key: the prefix, `_` and 24 random letters and digits, 142 bits. */
export function newId(prefix: 'org' | 'proj' | 'key'): string {
  const characters = Array.from({ length: LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]);
  return `${prefix}_${characters.join('')}`;
}
