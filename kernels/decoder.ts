import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { DecoderBindings } from './decoder-bindings.ts';
import type { DecoderShape } from './decoder-shape.ts';
import { withHalfAttention } from './graph/half-attention.ts';
import { VERIFY_ROWS } from './graph/verify-graph.ts';
import { DeviceKvMemory } from './kv-memory/device-kv-memory.ts';
import { HostKvMemory } from './kv-memory/host-kv-memory.ts';
import type { KvMemory } from './kv-memory/kv-memory.ts';
import { assertRunsOn } from './ort/provider-coverage.ts';
import { CPU, type KvTraits, type Provider, TRAITS } from './ort/providers.ts';
import { OrtSession } from './ort/session.ts';
import { Verifier } from './verifier.ts';

export interface DecoderOptions {
  readonly graphPath: string;
  readonly shape: DecoderShape;
  /** Sequences that have KV memory at once. */
  readonly slots: number;
  /** KV positions of each slot; at most `shape.maxContextTokens`. */
  readonly contextTokens: number;
  readonly threads: number;
  /** Threads wait busily between kernels: faster by up to half, but burns the cores. */
  readonly spinning: boolean;
  /** What computes it; default: the CPU. */
  readonly provider?: Provider;
  /** Default: the kind that the provider needs. */
  readonly kv?: KvTraits;
  /** `verify` can be used, on the CPU. It has the weights in memory once more. */
  readonly verifies?: boolean;
}

/**
 * A prompt chunk has at least this many tokens. The kernels for a single row round differently from those for several:
 * chunks of two and more give the same bits however a prompt is cut, a chunk of one would not.
 */
const MIN_CHUNK = 2;

/**
 * A decoder with its weights and KV memory. All calls are synchronous; one at a time.
 *
 * On the CPU a sequence's logits are the same, bit for bit, whichever slot it is in, whatever is decoded beside it, and however
 * its prompt was cut into chunks. A GPU's kernels for chunks of other lengths may round differently.
 */
export class Decoder {
  readonly vocabSize: number;
  readonly layers: number;
  readonly slots: number;
  readonly contextTokens: number;
  /** KV memory of all slots, bytes (committed by the system as it is touched). */
  readonly kvBytes: number;
  /** Numbers that `save` copies for each position. */
  readonly positionElements: number;
  readonly #session: OrtSession;
  readonly #kv: KvMemory;
  readonly #bindings: DecoderBindings;
  readonly #verifier: Verifier | undefined;
  #closed = false;

  /** Throws OrtError when the graph cannot be loaded, ProviderError when the provider cannot run it, RangeError for impossible options. */
  static load(options: DecoderOptions): Decoder {
    const { slots, contextTokens, threads, shape } = options;
    for (const [name, value] of Object.entries({ slots, contextTokens, threads }))
      if (!Number.isInteger(value) || value < 1) throw new RangeError(`${name} is ${value}`);
    if (contextTokens > shape.maxContextTokens)
      throw new RangeError(
        `contextTokens is ${contextTokens}, but the model was made for ${shape.maxContextTokens}`,
      );
    return new Decoder(options);
  }

  private constructor(options: DecoderOptions) {
    const { graphPath, shape, slots, contextTokens, threads, spinning, provider = CPU } = options;
    this.vocabSize = shape.vocabSize;
    this.layers = shape.layers;
    this.slots = slots;
    this.contextTokens = contextTokens;
    const sessionOptions = { threads, spinning, provider };
    const { memory, attention } = options.kv ?? TRAITS[provider.name];
    this.#session =
      attention === 'float32'
        ? new OrtSession(graphPath, sessionOptions)
        : new OrtSession(withHalfAttention(readFileSync(graphPath)), {
            ...sessionOptions,
            weightsFolder: dirname(graphPath),
          });
    // Room for the padding of a one-token chunk at the very end.
    const minPositions = contextTokens + MIN_CHUNK - 1;
    let kv: KvMemory | undefined;
    try {
      assertRunsOn(provider, this.#session, WORK, 'Choose another provider, or `auto`.');
      const kvOptions = { session: this.#session, shape, slots, minPositions };
      kv =
        memory === 'host'
          ? new HostKvMemory(kvOptions)
          : new DeviceKvMemory({ ...kvOptions, sessionOptions, element: attention });
      if (options.verifies) this.#verifier = new Verifier(graphPath, sessionOptions, kv, shape.vocabSize);
      this.#bindings = new DecoderBindings(this.#session, kv, shape.vocabSize);
    } catch (error) {
      this.#verifier?.close();
      kv?.close();
      this.#session.close();
      throw error;
    }
    this.#kv = kv;
    this.kvBytes = kv.sizeBytes;
    this.positionElements = kv.positionElements;
  }

  /** Tokens that `verify` takes at most; 0: it cannot be used. */
  get verifyRows(): number {
    return this.#verifier === undefined ? 0 : VERIFY_ROWS;
  }

  /**
   * Runs one chunk of a prompt: `tokens` at positions `past…` of `slot`, whose earlier positions must hold the same
   * sequence. Returns the logits of the last token [vocabSize] if wanted, as a view that is valid until the next call.
   */
  prefill(
    slot: number,
    tokens: ArrayLike<number>,
    past: number,
    wantLogits: boolean,
  ): Float32Array | undefined {
    this.#checkSlots(slot, 1);
    if (tokens.length < 1) throw new RangeError('a chunk has no tokens');
    this.#checkPositions(past, tokens.length);
    const chunk = Math.max(tokens.length, MIN_CHUNK);
    const logitRows = wantLogits ? 1 : 0;
    // Padding repeats the last token: it lies after all that counts, and the next call overwrites it.
    for (let i = 0; i < chunk; i++) this.#setToken(i, tokens[Math.min(i, tokens.length - 1)]!);
    this.#bindings.lastPositions[0] = past + chunk - 1;
    this.#bindings.totalLength[0] = past + chunk;
    if (wantLogits) this.#bindings.logitRows[0] = BigInt(tokens.length - 1);
    this.#kv.begin(slot, 1, past);
    this.#bindings.run({ firstSlot: slot, batch: 1, chunk, logitRows });
    this.#kv.end(slot, 1, past, tokens.length);
    return wantLogits ? this.#bindings.logits.subarray(0, this.vocabSize) : undefined;
  }

  /**
   * One token for each of the slots firstSlot … firstSlot+count-1; `pasts[i]` positions of the i-th are filled already.
   * Returns logits [count × vocabSize], row by row, as a view that is valid until the next call.
   */
  decode(
    firstSlot: number,
    count: number,
    tokens: ArrayLike<number>,
    pasts: ArrayLike<number>,
  ): Float32Array {
    this.#checkSlots(firstSlot, count);
    if (tokens.length < count || pasts.length < count)
      throw new RangeError(`${count} slots need as many tokens and pasts`);
    let longest = 0;
    for (let i = 0; i < count; i++) {
      const past = pasts[i]!;
      this.#checkPositions(past, 1);
      this.#setToken(i, tokens[i]!);
      this.#bindings.lastPositions[i] = past;
      this.#bindings.logitRows[i] = BigInt(i);
      longest = Math.max(longest, past + 1);
    }
    this.#bindings.totalLength[0] = longest;
    this.#kv.begin(firstSlot, count, longest - 1);
    this.#bindings.run({ firstSlot, batch: count, chunk: 1, logitRows: count });
    this.#kv.end(firstSlot, count, longest - 1, 1);
    return this.#bindings.logits.subarray(0, count * this.vocabSize);
  }

  /**
   * Runs successive tokens of the sequence in slot 0, at positions `past…`; there must be room for `verifyRows`
   * positions, however few they are. Returns logits [tokens × vocabSize], with the same bits as that many calls of
   * `decode`, as a view that is valid until the next call.
   */
  verify(tokens: readonly number[], past: number): Float32Array {
    if (this.#verifier === undefined) throw new RangeError('the decoder was not loaded to verify');
    this.#checkSlots(0, 1);
    if (tokens.length < 1 || tokens.length > VERIFY_ROWS)
      throw new RangeError(`${tokens.length} tokens to verify`);
    this.#checkPositions(past, VERIFY_ROWS);
    for (const token of tokens) this.#checkToken(token);
    // Padding repeats the last token: it lies after all that counts.
    const padded = Array.from({ length: VERIFY_ROWS }, (_, row) => tokens[Math.min(row, tokens.length - 1)]!);
    this.#verifier.run(padded, past);
    return this.#verifier.logits.subarray(0, tokens.length * this.vocabSize);
  }

  /** Copies the first `length` KV positions of a slot over those of another. */
  move(fromSlot: number, toSlot: number, length: number): void {
    this.#checkSlots(fromSlot, 1);
    this.#checkSlots(toSlot, 1);
    this.#checkPositions(0, length);
    if (fromSlot !== toSlot) this.#kv.copy(fromSlot, toSlot, length);
  }

  /**
   * Copies KV positions `position…` of a slot into one array after the other; their lengths, multiples of `positionElements`, say how many.
   * On a device many together take hardly longer than one.
   */
  save(slot: number, position: number, ...into: readonly Float32Array[]): void {
    this.#checkPieces(slot, position, into);
    this.#kv.save(slot, position, into);
  }

  /** Copies what `save` gave, of the same sequence at the same positions, into a slot. */
  restore(slot: number, position: number, ...from: readonly Float32Array[]): void {
    this.#checkPieces(slot, position, from);
    this.#kv.restore(slot, position, from);
  }

  /** Releases all native memory. The decoder cannot be used any more; closing twice is allowed. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#bindings.close();
    this.#verifier?.close();
    this.#kv.close();
    this.#session.close();
  }

  #checkSlots(firstSlot: number, count: number): void {
    if (this.#closed) throw new Error('the decoder is closed');
    if (!(firstSlot >= 0 && count >= 1 && firstSlot + count <= this.slots))
      throw new RangeError(`slots ${firstSlot} … ${firstSlot + count - 1} of ${this.slots}`);
  }

  #checkPositions(past: number, added: number): void {
    if (!(past >= 0 && Number.isInteger(past + added) && past + added <= this.contextTokens))
      throw new RangeError(`positions ${past} … ${past + added - 1} of ${this.contextTokens}`);
  }

  #checkPieces(slot: number, position: number, pieces: readonly Float32Array[]): void {
    this.#checkSlots(slot, 1);
    let end = position;
    for (const { length } of pieces) {
      this.#checkPositions(end, length / this.positionElements);
      end += length / this.positionElements;
    }
  }

  #checkToken(token: number): void {
    if (!(Number.isInteger(token) && token >= 0 && token < this.vocabSize))
      throw new RangeError(`token ${token} of a vocabulary of ${this.vocabSize}`);
  }

  #setToken(index: number, token: number): void {
    this.#checkToken(token);
    this.#bindings.tokenIds[index] = BigInt(token);
  }
}

/** Operators that do most of the work. */
const WORK = ['GatherBlockQuantized', 'Gemm', 'GroupQueryAttention', 'MatMulNBits'];
