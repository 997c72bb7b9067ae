import { readFileSync } from 'node:fs';

/**
 * Whether the processor adds products of bytes up in 32 bits (VNNI, or dot products of ARM). Without that ONNX Runtime's kernels for
 * u8 × i8 add pairs up in 16 bits, which saturate.
 */
export function addsBytesExactly(): boolean {
  if (process.platform !== 'linux') return process.arch === 'arm64';
  return /vnni|asimddp/.test(readFileSync('/proc/cpuinfo', 'utf8'));
}
