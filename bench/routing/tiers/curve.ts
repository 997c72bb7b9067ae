import type { Outcome } from './outcomes.ts';

/** Of a GPT-4 Turbo and of a Mixtral in the days of the data, US dollars per million tokens. */
const STRONG_USD = { input: 10, output: 30 };
const WEAK_USD = { input: 0.24, output: 0.24 };

/** What comes of sending the questions up to some difficulty to the weak model. */
export interface Point {
  /** What is judged at most so difficult. */
  readonly upTo: number;
  /** 0 to 1, of the questions. */
  readonly weakShare: number;
  /** Of what the strong model costs for all. */
  readonly saved: number;
  /** Mean mark, 0 to 1. */
  readonly quality: number;
}

export interface Curve {
  readonly weak: number;
  readonly strong: number;
  readonly points: readonly Point[];
}

/** @param difficulty Of each. Equal ones go together: a threshold cannot part them. */
export function curveOf(outcomes: readonly Outcome[], difficulty: readonly number[]): Curve {
  const order = outcomes.map((_, i) => i).sort((a, b) => difficulty[a]! - difficulty[b]!);
  const mean = (of: (one: Outcome) => number) =>
    outcomes.reduce((sum, one) => sum + of(one), 0) / outcomes.length;
  const [weak, strong, allUsd] = [mean((one) => one.weak), mean((one) => one.strong), mean(strongUsd)];
  const points: Point[] = [{ upTo: Number.NEGATIVE_INFINITY, weakShare: 0, saved: 0, quality: strong }];
  let [savedUsd, gained] = [0, 0];
  for (const [n, i] of order.entries()) {
    const one = outcomes[i]!;
    savedUsd += strongUsd(one) - weakUsd(one);
    gained += one.weak - one.strong;
    const next = order[n + 1];
    if (next !== undefined && difficulty[next] === difficulty[i]) continue;
    points.push({
      upTo: difficulty[i]!,
      weakShare: (n + 1) / outcomes.length,
      saved: savedUsd / outcomes.length / allUsd,
      quality: strong + gained / outcomes.length,
    });
  }
  return { weak, strong, points };
}

/** The most that is saved while at most so much quality is lost, in units of the marks. */
export function savedAt({ points, strong }: Curve, lost: number): number {
  return Math.max(...points.map((point) => (point.quality >= strong - lost - 1e-12 ? point.saved : 0)));
}

/** The quality lost where at least so much is saved, in units of the marks; the least. */
export function lostAt({ points, strong }: Curve, saved: number): number {
  return Math.min(...points.map((point) => (point.saved >= saved ? strong - point.quality : Infinity)));
}

/** Where everything below the threshold is answered by the weak model. */
export function pointAt({ points }: Curve, threshold: number): Point {
  return points.findLast(({ upTo }) => upTo < threshold)!;
}

/** Area under the share of the gap between both models that is closed, over the share of calls to the strong one: .5 is chance. */
export function meanGapClosed({ points, strong, weak }: Curve): number {
  let area = 0;
  for (let i = 1; i < points.length; i += 1) {
    const [a, b] = [points[i - 1]!, points[i]!];
    area += (b.weakShare - a.weakShare) * ((a.quality + b.quality) / 2 - weak);
  }
  return area / (strong - weak);
}

function strongUsd({ promptTokens, strongTokens }: Outcome): number {
  return promptTokens * STRONG_USD.input + strongTokens * STRONG_USD.output;
}

function weakUsd({ promptTokens, weakTokens }: Outcome): number {
  return promptTokens * WEAK_USD.input + weakTokens * WEAK_USD.output;
}
