import type { Candidate } from './candidate.ts';
import { estimate, expectedOutputTokens } from './estimate.ts';
import type { Policy, PolicyInput, PolicyOptions, Ranked } from './policy.ts';
import { isOpen, rankBy } from './ranking.ts';

/** What a request costs those beside it, per request under way: their steps grow longer, and those that come wait behind it. */
const IMPOSED = 0.15;
/** Scores this close are equal: then chance decides, so that several gateways do not all choose alike. */
const EQUAL = 0.03;

/**
 * Weighs the load that a request adds, the time that its output takes, what it costs and what it is worth:
 *
 *   load  = (queue + own prompt work) · (1 + 0.15 · in flight)   own delay, and the delay imposed on others
 *   score = latency·load/aim + output·out·TPOT/aim + cost·USD + quality·(1 − quality)
 *
 * Nothing is normalised over the candidates: that would make a gap of 1 ms as heavy as one of 10 s. One that is expected
 * to meet the aim goes before one that is not, and pays for its load only in so far as it is not cheaper.
 */
export function balanced({ fleet, settings }: PolicyOptions): Policy {
  const { weights, slo, exploration } = settings;
  return {
    name: 'balanced',
    rank<C extends Candidate>({ candidates, request, nowMs, random }: PolicyInput<C>): readonly Ranked<C>[] {
      const outputTokens = expectedOutputTokens(fleet, request);
      const aimMs = request.sloTtftMs ?? slo.ttftMs + slo.ttftMsPerPromptToken * request.promptTokens;
      const ranked = rankBy(candidates, (candidate) => {
        const { forecast, prediction } = estimate(fleet, candidate, request, outputTokens, nowMs);
        const { ownMs, queuedMs, ttftMs, tpotMs } = forecast;
        const loadMs = Math.max(ttftMs, (queuedMs + ownMs) * (1 + IMPOSED * candidate.inFlight));
        const parts = {
          latency: (weights.latency * loadMs) / aimMs,
          output: (weights.output * outputTokens * tpotMs) / aimMs,
          cost: weights.cost * prediction.costUsd,
          quality: weights.quality * (1 - (candidate.quality ?? 1)),
        };
        return { score: parts.latency + parts.output + parts.cost + parts.quality, parts, prediction };
      });
      return promote(ranked, chosen(ranked, random, exploration));
    },
  };
}

/** @returns The place of the one that goes first. */
function chosen<C extends Candidate>(
  ranked: readonly Ranked<C>[],
  random: () => number,
  exploration: number,
): number {
  const [best] = ranked;
  if (best === undefined) return 0;
  const others = ranked.filter(
    ({ candidate }) => isOpen(candidate) && candidate.privacy === best.candidate.privacy,
  );
  const explores = random() < exploration;
  const among = explores ? others : others.filter(({ score }) => score <= best.score * (1 + EQUAL));
  const one = among[Math.floor(random() * among.length)];
  return one === undefined ? 0 : ranked.indexOf(one);
}

function promote<C extends Candidate>(ranked: Ranked<C>[], place: number): readonly Ranked<C>[] {
  if (place > 0) ranked.unshift(...ranked.splice(place, 1));
  return ranked;
}
