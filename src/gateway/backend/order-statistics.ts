/** The middle one, or the mean of the two in the middle; 0: there are none. */
export function median(samples: readonly number[]): number {
  const sorted = ascending(samples);
  const half = sorted.length >> 1;
  const upper = sorted[half] ?? 0;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[half - 1] ?? 0)) / 2;
}

/** The middle one, or the upper of the two in the middle: one that was seen. Undefined: there are none. */
export function upperMedian(samples: readonly number[]): number | undefined {
  return ascending(samples)[samples.length >> 1];
}

/** Samples are kept in the order in which they came. */
function ascending(samples: readonly number[]): number[] {
  return samples.toSorted((a, b) => a - b);
}
