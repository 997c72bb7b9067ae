/**
 * The byte-level alphabet of GPT-2 (openai/gpt-2 `encoder.py`, `bytes_to_unicode`): every byte is written as one
 * printable character, so that a BPE vocabulary of strings covers all bytes. Printable Latin-1 stands for itself; the
 * other 68 bytes are numbered from U+0100 in order.
 */
const BYTE_OF_CHARACTER: ReadonlyMap<string, number> = buildTable();

function buildTable(): Map<string, number> {
  const table = new Map<string, number>();
  let shifted = 0;
  for (let byte = 0; byte < 256; byte++) {
    const printable =
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
    table.set(String.fromCodePoint(printable ? byte : 0x100 + shifted++), byte);
  }
  return table;
}

/** The bytes a vocabulary entry stands for; undefined if it holds a character outside the alphabet. */
export function bytesOfEntry(entry: string): Uint8Array | undefined {
  const bytes: number[] = [];
  for (const character of entry) {
    const byte = BYTE_OF_CHARACTER.get(character);
    if (byte === undefined) return undefined;
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}
