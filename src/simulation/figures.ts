import type { Outcome, Served } from './simulate.ts';

/** The aim of every request: to begin within 2 s and 0.1 ms per prompt token, and to go on at 20 tokens/s or more. */
function meetsAim({ request, ttftMs, tpotMs }: Served): boolean {
  return (
    ttftMs !== undefined &&
    tpotMs !== undefined &&
    ttftMs <= 2_000 + 0.1 * request.promptTokens &&
    tpotMs <= 50
  );
}

export interface Figures {
  /** Share of the requests that met the aim. */
  readonly goodput: number;
  readonly ttftP50Ms: number;
  readonly ttftP99Ms: number;
  /** Share of the prompt tokens that did not have to be computed. */
  readonly hitRate: number;
  readonly usdPerThousand: number;
  /** Jain's index of the goodput of four classes of prompts, the shortest quarter to the longest: 1 is even. */
  readonly fairness: number;
  readonly failed: number;
}

export function figures({ served }: Outcome): Figures {
  const ttfts = served.flatMap(({ ttftMs }) => ttftMs ?? []).sort((a, b) => a - b);
  const sum = (of: (one: Served) => number) => served.reduce((total, one) => total + of(one), 0);
  const bySize = [...served].sort((a, b) => a.request.promptTokens - b.request.promptTokens);
  const quarter = Math.ceil(bySize.length / 4);
  const classes = [0, 1, 2, 3].map((i) => goodput(bySize.slice(i * quarter, (i + 1) * quarter)));
  return {
    goodput: goodput(served),
    ttftP50Ms: quantile(ttfts, 0.5),
    ttftP99Ms: quantile(ttfts, 0.99),
    hitRate: sum(({ cachedTokens }) => cachedTokens) / sum(({ request }) => request.promptTokens),
    usdPerThousand: (1000 * sum(({ costUsd }) => costUsd)) / served.length,
    fairness: jain(classes),
    failed: served.filter(({ tpotMs }) => tpotMs === undefined).length,
  };
}

function goodput(served: readonly Served[]): number {
  return served.filter(meetsAim).length / Math.max(1, served.length);
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

function jain(values: readonly number[]): number {
  const total = values.reduce((a, b) => a + b, 0);
  const squares = values.reduce((a, b) => a + b * b, 0);
  return squares === 0 ? 1 : total ** 2 / (values.length * squares);
}
