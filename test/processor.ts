import { cpuFlags } from '../src/doctor/machine.ts';

/**
 * Whether the processor adds products of bytes up in 32 bits (VNNI, or dot products of ARM). Without that ONNX Runtime's kernels for
 * u8 × i8 add pairs up in 16 bits, which saturate.
 */
export function addsBytesExactly(): boolean {
  const flags = cpuFlags();
  if (flags === undefined) return process.arch === 'arm64';
  return [...flags].some((flag) => flag.includes('vnni') || flag === 'asimddp');
}
