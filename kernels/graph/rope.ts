import type { RopeSettings } from './hyperparameters.ts';

/** Cosines and sines of the rotary embedding, each [positions × dims / 2]. */
export function ropeTables(
  settings: RopeSettings,
  positions: number,
): { cos: Float32Array; sin: Float32Array } {
  const { dims, theta, positionScale, frequencyFactors, amplitude } = settings;
  const half = dims / 2;
  const frequencies = Float64Array.from(
    { length: half },
    (_, i) => theta ** ((-2 * i) / dims) / (frequencyFactors?.[i] ?? 1) / positionScale,
  );
  const cos = new Float32Array(positions * half);
  const sin = new Float32Array(positions * half);
  for (let position = 0; position < positions; position++) {
    for (let i = 0; i < half; i++) {
      const angle = position * frequencies[i]!;
      cos[position * half + i] = amplitude * Math.cos(angle);
      sin[position * half + i] = amplitude * Math.sin(angle);
    }
  }
  return { cos, sin };
}

/**
 * Where a row of an interleaved-rope file belongs for half rotation: within each head, row 2i+j goes to j·D/2 + i.
 */
export function deinterleavedRow(headDim: number): (row: number) => number {
  return (row) => {
    const within = row % headDim;
    return row - within + (within & 1) * (headDim / 2) + (within >> 1);
  };
}
