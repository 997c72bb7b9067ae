import { Buffer } from 'node:buffer';

/** Shorter bodies are not worth it. */
const LEAST_BYTES = 16 * 1024;
/** Longer ones are rare, and would keep much. */
const MOST_BYTES = 1024 * 1024;
/** How much memory is kept that nobody uses at the moment. */
const MAX_KEPT_BYTES = 8 * 1024 * 1024;

/**
 * By the size of the blocks: powers of two. The one that was used last comes last and is used first, as it may still
 * be in the processor's caches.
 */
const kept = new Map<number, ArrayBuffer[]>();
let keptBytes = 0;
/** Of short bodies. */
const SHARED_BYTES = 64 * 1024;
let shared = Buffer.allocUnsafeSlow(SHARED_BYTES);
let sharedBytes = 0;

/** How many still need the body in it. */
const holders = new WeakMap<ArrayBufferLike, number>();

/**
 * Memory for a long body. The memory of bodies that nobody needs any more is used again: fresh memory is cold, and
 * writing to it costs more than everything else that happens to the body.
 *
 * Whoever asks for it holds it, and lets go of it with `releaseBody`; whoever else needs it holds it, too
 * (`holdBody`). When the last one lets go, the bytes are taken away from all views: a late reader sees an empty
 * body, never somebody else's. What nobody releases is left to the garbage collector.
 */
export function bodyMemory(sizeBytes: number): Buffer {
  if (sizeBytes < LEAST_BYTES) return shortBody(sizeBytes);
  const block = blockFor(sizeBytes);
  holders.set(block, 1);
  return Buffer.from(block, 0, sizeBytes);
}

function blockFor(sizeBytes: number): ArrayBuffer {
  if (sizeBytes > MOST_BYTES) return Buffer.allocUnsafeSlow(sizeBytes).buffer;
  const blockBytes = 2 ** (32 - Math.clz32(sizeBytes - 1));
  const block = kept.get(blockBytes)?.pop();
  if (block === undefined) return Buffer.allocUnsafeSlow(blockBytes).buffer;
  keptBytes -= blockBytes;
  return block;
}

/**
 * Short ones lie side by side. In Node's own pool a body that is needed for as long as its reply streams would keep
 * 64 KiB in memory, of other streams' chunks that are long gone.
 */
function shortBody(sizeBytes: number): Buffer {
  if (sizeBytes > shared.length - sharedBytes) {
    shared = Buffer.allocUnsafeSlow(SHARED_BYTES);
    sharedBytes = 0;
  }
  const start = sharedBytes;
  sharedBytes += sizeBytes;
  return shared.subarray(start, sharedBytes);
}

/** @param bytes Any view of the memory; of other memory: nothing happens. */
export function holdBody(bytes: Buffer): void {
  if (bytes.buffer.byteLength < LEAST_BYTES) return;
  const count = holders.get(bytes.buffer);
  if (count !== undefined) holders.set(bytes.buffer, count + 1);
}

/**
 * To be called once for each `holdBody`, when nothing reads or writes the body on the holder's behalf any more, the
 * system included.
 */
export function releaseBody(bytes: Buffer): void {
  const { buffer } = bytes;
  if (buffer.byteLength < LEAST_BYTES) return;
  const count = holders.get(buffer);
  if (count === undefined) return;
  if (count > 1) {
    holders.set(buffer, count - 1);
    return;
  }
  holders.delete(buffer);
  const block = buffer as ArrayBuffer;
  if (block.byteLength <= MOST_BYTES && keptBytes + block.byteLength <= MAX_KEPT_BYTES)
    keep(block.transfer());
  // Gives it back at once: V8 collects it late, as it knows little of what is beside its heap.
  else block.transfer(0);
}

function keep(block: ArrayBuffer): void {
  const blockBytes = block.byteLength;
  const blocks = kept.get(blockBytes);
  if (blocks === undefined) kept.set(blockBytes, [block]);
  else blocks.push(block);
  keptBytes += blockBytes;
}
