/** Also of a string whose end is missing: otherwise each quote in it would be tried as a beginning. */
const STRING_OR_NO_NUMBER = /"[^"\\]*(?:\\[\s\S][^"\\]*)*"?|-?\bInfinity\b|\bNaN\b/g;

/**
 * JSON with `null` in place of what it has no numbers for. Python writes those by name, as log-probabilities of tokens that cannot
 * come, and only Python reads them.
 */
export function withNulls(text: string): string {
  return text.replace(STRING_OR_NO_NUMBER, (found) => (found.startsWith('"') ? found : 'null'));
}
