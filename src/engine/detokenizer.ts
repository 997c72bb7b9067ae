/**
 * Bytes of tokens in, text out. A token may end inside a character: its bytes wait until the rest has come, so that text
 * never holds half a character; a reply that is cut there ends before the character. Bytes that can never become a
 * character turn into U+FFFD as soon as that is certain.
 */
export class Detokenizer {
  // ignoreBOM keeps a generated U+FEFF in the text.
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });

  push(bytes: Uint8Array): string {
    return this.#decoder.decode(bytes, { stream: true });
  }
}
