const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** The offset of the quote that ends the string, or −1. */
export function closingQuote(text: Buffer, start: number): number {
  for (let at = text.indexOf(QUOTE, start); at >= 0; at = text.indexOf(QUOTE, at + 1)) {
    if (!isEscaped(text, at, start)) return at;
  }
  return -1;
}

/** Whether what stands at `at` means nothing, in a string that begins at `start`. */
export function isEscaped(text: Buffer, at: number, start: number): boolean {
  let before = at;
  while (before > start && text[before - 1] === BACKSLASH) before -= 1;
  return (at - before) % 2 === 1;
}
