import { crc32 } from 'node:zlib';
import {
  HEADER_WORDS,
  type JournalRecord,
  LABEL,
  LABEL_WORDS,
  labelText,
  MAGIC,
  OPEN,
  RECORD_WORDS,
  ROW_WORDS,
  SETTLED,
  WORD_BYTES,
  wordsOf,
} from './block.ts';
import type { AttemptLabel } from './label.ts';

const FIRST_BYTES = 128 * 1024;

interface Written {
  readonly number: number;
  /** No bytes: they would keep alive the 64 KiB that they were cut out of, with much that nobody needs. */
  readonly text: string;
}

/** Makes the blocks of a journal, one after the other, record by record. */
export class BlockWriter {
  #bytes = Buffer.from(new ArrayBuffer(FIRST_BYTES));
  #words = new Float64Array(this.#bytes.buffer);
  /** Of what is used. */
  #wordCount = HEADER_WORDS;
  /** Those that it has already, in order. */
  readonly #labels: AttemptLabel[] = [];
  /** Those of this journal. */
  readonly #written = new WeakMap<AttemptLabel, Written>();
  #lastLabel = 0;

  get isEmpty(): boolean {
    return this.#wordCount === HEADER_WORDS;
  }

  get sizeBytes(): number {
    return this.#wordCount * WORD_BYTES;
  }

  add({ type, settlementId, rows }: JournalRecord): void {
    // Labels stand in front of the records that use them.
    for (const { label } of rows) if (!this.#labels.includes(label)) this.#define(label);
    const { requestId = '', atMs = 0 } = rows[0] ?? {};
    this.#reserve(RECORD_WORDS + mostWords(settlementId) + mostWords(requestId) + ROW_WORDS * rows.length);
    const start = this.#wordCount;
    this.#wordCount += RECORD_WORDS;
    const words = this.#words;
    words[start] = type === 'open' ? OPEN : SETTLED;
    words[start + 1] = this.#write(settlementId);
    words[start + 2] = this.#write(requestId);
    words[start + 3] = atMs;
    words[start + 4] = rows.length;
    let at = this.#wordCount;
    for (const row of rows) {
      words[at] = this.#labels.indexOf(row.label);
      words[at + 1] = row.promptTokens;
      words[at + 2] = row.cachedTokens;
      words[at + 3] = row.completionTokens;
      words[at + 4] = row.reasoningTokens;
      words[at + 5] = row.costNanoUsd;
      words[at + 6] = row.wasteNanoUsd;
      words[at + 7] = row.durationMs;
      at += ROW_WORDS;
    }
    this.#wordCount = at;
  }

  /** The block as it is: good until the next change. */
  finish(): Buffer {
    const bytes = this.#bytes;
    const { sizeBytes } = this;
    const headerBytes = HEADER_WORDS * WORD_BYTES;
    bytes.writeUInt32LE(MAGIC, 0);
    bytes.writeUInt32LE(crc32(bytes.subarray(headerBytes, sizeBytes)), 4);
    bytes.writeUInt32LE(sizeBytes - headerBytes, 8);
    return bytes.subarray(0, sizeBytes);
  }

  /** Begins the next one. */
  clear(): void {
    this.#wordCount = HEADER_WORDS;
    this.#labels.length = 0;
  }

  #define(label: AttemptLabel): void {
    let written = this.#written.get(label);
    if (written === undefined) {
      this.#lastLabel += 1;
      written = { number: this.#lastLabel, text: labelText(label) };
      this.#written.set(label, written);
    }
    const { number, text } = written;
    this.#reserve(LABEL_WORDS + mostWords(text));
    const start = this.#wordCount;
    this.#wordCount += LABEL_WORDS;
    this.#words[start] = LABEL;
    this.#words[start + 1] = number;
    this.#words[start + 2] = this.#write(text);
    this.#labels.push(label);
  }

  /** @returns How many bytes it has. */
  #write(text: string): number {
    const bytes = this.#bytes;
    const start = this.#wordCount * WORD_BYTES;
    let sizeBytes = text.length;
    // Most are short and ASCII: calling what writes any text would take longer than writing them here.
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) {
        sizeBytes = bytes.write(text, start);
        break;
      }
      bytes[start + i] = code;
    }
    this.#wordCount += wordsOf(sizeBytes);
    return sizeBytes;
  }

  #reserve(wordCount: number): void {
    const needed = this.#wordCount + wordCount;
    if (needed <= this.#words.length) return;
    const grown = new Float64Array(Math.max(needed, 2 * this.#words.length));
    grown.set(this.#words);
    this.#words = grown;
    this.#bytes = Buffer.from(grown.buffer);
  }
}

/** A character of JavaScript takes three bytes at most. */
function mostWords(text: string): number {
  return wordsOf(3 * text.length);
}
