import { setFlagsFromString } from 'node:v8';

/** The first V8 that knows the newer flags. Others would complain about them. */
const NEWER_FLAGS_FROM = 13;
const [major = 0] = process.versions.v8.split('.').map(Number);
/** More collections than there will ever be. */
const FOR_GOOD = 1_000_000_000;

/**
 * Has V8 collect its old generation less often, and keep what it has compiled. Before anything is served.
 *
 * - The memory of buffers counts together with its heap. By itself it marks the whole heap again after every 64 MiB of them, which
 *   a few hundred long prompts take: twice as much time went there as into serving them.
 * - The heap may grow by seven tenths of what the last collection has left, as V8 counts that. By itself V8 allows so little more that a few
 *   hundred streams have it mark the same 35 MiB every three seconds: a tenth of the time that they take, in steps that new requests wait for. To
 *   allow more than this saves nothing that can be measured, and takes 20 MiB.
 * - What is young is collected also while the heap is being marked. By itself V8 puts that off, and under full load marking takes a second or more:
 *   all that a few hundred thousand chunks had left behind became old meanwhile, 150 to 400 MiB of it, and the collection at the end paused for
 *   up to a tenth of a second.
 * - Compiled code goes with the shapes of objects that it was compiled for, and a shape goes with the last object of it. V8 keeps those for two
 *   collections more, but for none of those by which it gives memory back when there is little to do. After ten seconds of rest a gateway had to compile
 *   some 150 functions again: under full load that took it twenty seconds, in which a request cost 1.2 to 1.6 times as much.
 */
export function tuneHeap(): void {
  if (major >= NEWER_FLAGS_FROM) {
    setFlagsFromString('--external-memory-accounted-in-global-limit');
    setFlagsFromString('--no-separate-gc-phases');
  }
  favourMemory(false);
  setFlagsFromString(`--retain-maps-for-n-gc=${FOR_GOOD}`);
  setFlagsFromString('--heap-growing-percent=70');
}

/** Whether V8, when there is little to do, gives back all that it can, and forgets what it has compiled. */
export function favourMemory(whether: boolean): void {
  if (major >= NEWER_FLAGS_FROM) setFlagsFromString(`--${whether ? '' : 'no-'}memory-reducer-favors-memory`);
}
