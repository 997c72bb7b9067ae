import { crc32 } from 'node:zlib';
import type { AttemptLabel } from './label.ts';
import type { AttemptRow } from './row.ts';

/**
 * What a journal holds. `open`: a request has been heard of, with what it would cost if nothing more came.
 * `settled`: it has ended, with what it did cost; without rows: nothing.
 */
export interface JournalRecord<Row = AttemptRow> {
  readonly type: 'open' | 'settled';
  readonly settlementId: string;
  readonly rows: readonly Row[];
}

export interface Decoded<Row = AttemptRow> {
  readonly records: readonly JournalRecord<Row>[];
  /** Of what has been read, good or not. */
  readonly sizeBytes: number;
  /** Blocks that are not what was written, because of a disk or a power failure. */
  readonly broken: number;
}

/**
 * What is written at once (`block-writer.ts`) is a block: a header, and behind it records and the labels that they use. It can be read without any
 * other, and what was written in part only, or has been damaged, is known by the checksum. All is in words of 8 bytes, numbers as doubles, so that
 * neither side has to look at digits:
 *
 *   header   MAGIC, checksum, bytes behind the header, 0: 4 bytes each
 *   label    LABEL, its number in this journal, bytes of its text ‖ text
 *   record   OPEN or SETTLED, bytes of settlement id, bytes of request id, time, rows ‖ settlement id ‖ request id ‖ rows
 *   row      which label of the block, prompt, cached, completion, reasoning tokens, cost, waste, duration
 */
export const WORD_BYTES = 8;
export const HEADER_WORDS = 2;
export const LABEL_WORDS = 3;
export const RECORD_WORDS = 5;
export const ROW_WORDS = 8;
export const LABEL = 1;
export const OPEN = 2;
export const SETTLED = 3;
/** `QMJ2` */
export const MAGIC = 0x324a_4d51;
const HEADER_BYTES = HEADER_WORDS * WORD_BYTES;
/** Of one with its header. */
export const MAX_BLOCK_BYTES = 512 * 1024;

/** How many words a text of that many bytes takes. */
export function wordsOf(textBytes: number): number {
  return (textBytes + WORD_BYTES - 1) >>> 3;
}

/** Of a journal, by their numbers. What is not known stands in the block. */
export type KnownLabels = Map<number, AttemptLabel>;
/** A writer gives the same label another number once its caller object has changed. */
const MOST_KNOWN = 10_000;

/**
 * The whole blocks at the beginning of `bytes`.
 *
 * @param isEnd Nothing follows: what is not whole never will be.
 * @param known The labels of this journal, as far as it has been read: most need not be read again. Extended.
 */
export function decodeBlocks(bytes: Buffer, isEnd: boolean, known: KnownLabels): Decoded {
  const records: JournalRecord[] = [];
  let broken = 0;
  let startByte = 0;
  while (startByte < bytes.length) {
    const sizeBytes = contentBytesAt(bytes, startByte);
    const endByte = startByte + HEADER_BYTES + (sizeBytes ?? 0);
    const isCut = sizeBytes === undefined ? bytes.length - startByte < HEADER_BYTES : endByte > bytes.length;
    if (isCut && !isEnd) break;
    const content = bytes.subarray(startByte + HEADER_BYTES, endByte);
    if (sizeBytes !== undefined && !isCut && crc32(content) === bytes.readUInt32LE(startByte + 4)) {
      decodeContent(content, records, known);
      startByte = endByte;
    } else {
      broken += 1;
      startByte = nextHeader(bytes, startByte);
    }
  }
  return { records, sizeBytes: startByte, broken };
}

/** Undefined: there is no header. */
function contentBytesAt(bytes: Buffer, startByte: number): number | undefined {
  if (startByte + HEADER_BYTES > bytes.length || bytes.readUInt32LE(startByte) !== MAGIC) return undefined;
  const sizeBytes = bytes.readUInt32LE(startByte + 8);
  const isPossible =
    sizeBytes > 0 && sizeBytes <= MAX_BLOCK_BYTES - HEADER_BYTES && sizeBytes % WORD_BYTES === 0;
  return isPossible && bytes.readUInt32LE(startByte + 12) === 0 ? sizeBytes : undefined;
}

/** Where the next block after `startByte` begins; the end, if there is none. */
function nextHeader(bytes: Buffer, startByte: number): number {
  for (let at = startByte + WORD_BYTES; at < bytes.length; at += WORD_BYTES)
    if (contentBytesAt(bytes, at) !== undefined) return at;
  return bytes.length;
}

function decodeContent(content: Buffer, records: JournalRecord[], known: KnownLabels): void {
  const isAligned = content.byteOffset % WORD_BYTES === 0;
  const bytes = isAligned ? content : Buffer.copyBytesFrom(content);
  const words = new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length / WORD_BYTES);
  const texts = new Texts(bytes);
  const labels: AttemptLabel[] = [];
  let at = 0;
  while (at < words.length) {
    const start = at;
    if (words[start] === LABEL) {
      const labelNumber = words[start + 1]!;
      const sizeBytes = words[start + 2]!;
      at += LABEL_WORDS;
      let label = known.get(labelNumber);
      if (label === undefined) {
        label = labelOfText(texts.at(at, sizeBytes));
        if (known.size >= MOST_KNOWN) known.clear();
        known.set(labelNumber, label);
      }
      at += wordsOf(sizeBytes);
      labels.push(label);
      continue;
    }
    at += RECORD_WORDS;
    const settlementId = texts.at(at, words[start + 1]!);
    at += wordsOf(words[start + 1]!);
    const requestId = texts.at(at, words[start + 2]!);
    at += wordsOf(words[start + 2]!);
    const atMs = words[start + 3]!;
    const rows: AttemptRow[] = new Array(words[start + 4]!);
    for (let number = 0; number < rows.length; number++, at += ROW_WORDS)
      rows[number] = {
        settlementId,
        number,
        atMs,
        requestId,
        label: labels[words[at]!]!,
        promptTokens: words[at + 1]!,
        cachedTokens: words[at + 2]!,
        completionTokens: words[at + 3]!,
        reasoningTokens: words[at + 4]!,
        costNanoUsd: words[at + 5]!,
        wasteNanoUsd: words[at + 6]!,
        durationMs: words[at + 7]!,
      };
    records.push({ type: words[start] === OPEN ? 'open' : 'settled', settlementId, rows });
  }
}

/** The texts of a block: to make each of its bytes takes longer than to cut it out of one text of them all. */
class Texts {
  readonly #bytes: Buffer;
  readonly #all: string;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#all = bytes.toString('latin1');
  }

  at(word: number, sizeBytes: number): string {
    const start = word * WORD_BYTES;
    const end = start + sizeBytes;
    const bytes = this.#bytes;
    for (let i = start; i < end; i++) if (bytes[i]! > 0x7f) return bytes.toString('utf8', start, end);
    return this.#all.slice(start, end);
  }
}

/** A label as it stands in a block. */
export function labelText(label: AttemptLabel): string {
  const { organizationId, projectId, keyId, endpoint, model, deployment, kind, outcome, measured } = label;
  return JSON.stringify([
    organizationId,
    projectId,
    keyId,
    endpoint,
    model,
    deployment,
    kind,
    outcome,
    measured,
  ]);
}

function labelOfText(text: string): AttemptLabel {
  const [organizationId, projectId, keyId, endpoint, model, deployment, kind, outcome, measured] =
    JSON.parse(text);
  return { organizationId, projectId, keyId, endpoint, model, deployment, kind, outcome, measured };
}
