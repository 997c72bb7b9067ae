import type { Decision } from '../../core/decision.ts';
import { headerLine } from './header-lines.ts';

/** No header can hold it. */
const BEYOND_ASCII = /[^\x20-\x7e]+/g;

/** For clients that may know: `x-qianmen-route: vllm-a/qwen; policy=balanced; score=0.12; candidates=3`. */
export function routeLine({ choices }: Decision): string {
  const last = choices.at(-1);
  const taken = last?.ranked[0];
  if (last === undefined || taken === undefined) return '';
  const { candidate, score, prediction } = taken;
  const parts = [
    candidate.id.toWellFormed().replace(BEYOND_ASCII, encodeURIComponent),
    `policy=${last.policy}`,
    `score=${Number(score.toPrecision(4))}`,
    ...(prediction === undefined ? [] : [`ttft=${Math.round(prediction.ttftMs)}ms`]),
    `candidates=${last.ranked.length}`,
    `attempt=${choices.length}`,
  ];
  return headerLine('x-qianmen-route', parts.join('; '));
}
