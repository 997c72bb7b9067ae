import type { Candidate } from './candidate.ts';
import { estimate, expectedOutputTokens, ttftAimMs } from './estimate.ts';
import type { Policy, PolicyInput, PolicyOptions, Ranked } from './policy.ts';
import { isOpen, rankBy } from './ranking.ts';

/** What a request costs those that come after it, per request under way. */
const IMPOSED = 0.15;
/** What it weighs to push the reply of one other request below its pace, in units of the request's own aim. */
const DISTURBED = 3;
/** With load and disturbance up to this share of the aim, all are trusted to meet theirs. */
const SAFE = 0.5;
/** A deployment that was asked within this time is known well enough without being explored. */
const FRESH_MS = 10_000;
/** Scores this close are equal: then chance decides, so that several gateways do not all choose alike. */
const EQUAL = 0.03;
/** Differences of worth up to this, in units of the aim, are not worth any waiting. */
const AS_WORTHY = 0.02;

/**
 * Weighs the load that a request adds, the time that its output takes, what it costs and what it is worth:
 *
 *   load      = (queue + own prompt work) · (1 + 0.15 · in flight)   own delay, and the delay of those that come
 *   disturbed = replies that are expected to miss their pace because the prompt is read
 *   score     = latency·(load/aim + 3·disturbed) + output·out·TPOT/aim + cost·USD + quality·(1 − quality)
 *
 * Of those that will surely meet the aim it takes the one that is worth most (cost and quality), of equals the one with the
 * lowest score; if none will, the lowest score. Nothing is normalised over the candidates: that would make a gap of 1 ms as heavy
 * as one of 10 s. Now and then it asks one of the same privacy class that has not been asked for long, so that it is
 * not judged for ever by what it was.
 */
export function balanced({ knowledge, settings }: PolicyOptions): Policy {
  const { weights, slo, exploration } = settings;
  return {
    name: 'balanced',
    rank<C extends Candidate>({ candidates, request, nowMs, random }: PolicyInput<C>): readonly Ranked<C>[] {
      const outputTokens = expectedOutputTokens(knowledge, request);
      const aimMs = ttftAimMs(request, slo);
      const tpotAimMs = Math.min(request.sloTpotMs ?? slo.tpotMs, slo.tpotMs);
      const ranked = rankBy(candidates, (candidate) => {
        const { forecast, prediction } = estimate(knowledge, candidate, request, outputTokens, nowMs);
        const { ownMs, queuedMs, ttftMs, tpotMs } = forecast;
        const loadMs = Math.max(ttftMs, (queuedMs + ownMs) * (1 + IMPOSED * candidate.inFlight));
        const { replies, waiting } = knowledge.state(candidate.id);
        const prompt = { nowMs, queuedMs, ownMs, tpotMs, tpotAimMs, outputTokens };
        const parts = {
          latency: (weights.latency * loadMs) / aimMs,
          disturbed: weights.latency * DISTURBED * replies.endangeredBy(prompt, waiting),
          output: (weights.output * outputTokens * tpotMs) / aimMs,
          cost: weights.cost * prediction.costUsd,
          quality: weights.quality * (1 - (candidate.quality ?? 1)),
        };
        const score = parts.latency + parts.disturbed + parts.output + parts.cost + parts.quality;
        return { score, parts, prediction };
      });
      const isSafe = ({ parts, prediction }: Ranked<C>) =>
        parts.latency! + parts.disturbed! <= SAFE * weights.latency && prediction!.tpotMs <= tpotAimMs;
      const isStale = ({ candidate }: Ranked<C>) => knowledge.state(candidate.id).unaskedMs(nowMs) > FRESH_MS;
      const explores = random() < exploration;
      return promoted(ranked, choose(ranked, isSafe, explores ? isStale : undefined, random));
    },
  };
}

/** @param isStale Given when this one is for exploring. */
function choose<C extends Candidate>(
  ranked: readonly Ranked<C>[],
  isSafe: (one: Ranked<C>) => boolean,
  isStale: ((one: Ranked<C>) => boolean) | undefined,
  random: () => number,
): Ranked<C> | undefined {
  const open = ranked.filter(({ candidate }) => isOpen(candidate));
  const safe = open.filter(isSafe);
  const least = Math.min(...safe.map(price));
  const worthy = safe.length > 0 ? safe.filter((one) => price(one) <= least + AS_WORTHY) : open;
  const [best] = worthy;
  if (best === undefined) return undefined;
  const classOf = ({ candidate }: Ranked<C>) => candidate.privacy ?? 'public';
  const stale = isStale ? open.filter((one) => classOf(one) === classOf(best) && isStale(one)) : [];
  if (stale.length > 0) return pick(stale, random);
  return pick(
    worthy.filter(({ score }) => score <= best.score * (1 + EQUAL)),
    random,
  );
}

/** What speaks against a deployment however idle it is. */
function price({ parts }: Ranked<Candidate>): number {
  return parts.cost! + parts.quality!;
}

function pick<T>(from: readonly T[], random: () => number): T | undefined {
  return from[Math.floor(random() * from.length)];
}

function promoted<C extends Candidate>(ranked: Ranked<C>[], first: Ranked<C> | undefined): Ranked<C>[] {
  if (first === undefined || first === ranked[0]) return ranked;
  ranked.splice(ranked.indexOf(first), 1);
  ranked.unshift(first);
  return ranked;
}
