/**
 * Five times what a server can do, with and without keys: goodput against its peak, how fast the rest is turned away, memory, and how it is right after.
 *
 *   node bench/fairness/surge.ts [--seconds 10]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { residentBytes } from '../../test/support/gateway-process.ts';
import { SCENARIOS } from './scenarios.ts';
import { type Answer, openSetting, quantile, send } from './setting.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '10' } } });
const forMs = Number(values.seconds) * 1_000;
const scenario = SCENARIOS.find(({ name }) => name === '16 places, exact')!;
/** Sixteen replies at once of half a second each. */
const CAPACITY_PER_SECOND = 32;
const TENANTS = 4;

async function measure(keyed: boolean): Promise<string> {
  const weights = Array.from({ length: TENANTS }, () => 1);
  const setting = await openSetting(scenario, keyed ? weights : []);
  /** Resolves when its time is over: what has not been answered by then is still out when the next load begins. */
  const load = async (times: number, phaseMs: number) => {
    const perSecond = (times * CAPACITY_PER_SECOND) / TENANTS;
    const untilMs = performance.now() + phaseMs;
    const sent = Promise.all(weights.map((_, tenant) => send(setting, tenant, perSecond, untilMs)));
    await sleep(phaseMs);
    return async () => {
      const answers = (await sent).flat();
      const isGood = ({ status, askedAtMs, doneMs }: Answer) =>
        status === 200 && askedAtMs + doneMs < untilMs;
      return { answers, goodPerSecond: answers.filter(isGood).length / (phaseMs / 1_000) };
    };
  };
  const begun = (answers: readonly Answer[], q: number) =>
    quantile(
      answers.map(({ begunMs }) => begunMs),
      q,
    );
  const before = await (await load(0.5, forMs / 2))();
  const peak = await (await load(1, forMs))();
  const bytes = residentBytes(setting.gateway.pid!);
  const surged = await load(5, forMs);
  const grownMb = (residentBytes(setting.gateway.pid!) - bytes) / 1e6;
  const after = await (await load(0.5, forMs / 2))();
  const surge = await surged();
  setting.close();
  const refused = surge.answers.filter(({ status }) => status === 429 || status === 503);
  const neither =
    surge.answers.length - refused.length - surge.answers.filter((a) => a.status === 200).length;
  const refusedMs = (q: number) =>
    quantile(
      refused.map(({ doneMs }) => doneMs),
      q,
    ).toFixed(1);
  return (
    `${keyed ? 'keys' : 'no keys'} | ${peak.goodPerSecond.toFixed(1)} → ${surge.goodPerSecond.toFixed(1)} per s | ` +
    `${refused.length} refused after ${refusedMs(0.5)} ms (p50), ${refusedMs(0.99)} ms (p99), ${neither} neither | ` +
    `${grownMb.toFixed(0)} MB | ${begun(before.answers, 0.95).toFixed(0)} → ${begun(after.answers, 0.95).toFixed(0)} ms`
  );
}

console.log('callers | goodput at its peak → in the surge | turned away | memory | p95 TTFT before → after');
for (const keyed of [true, false]) console.log(await measure(keyed));
process.exit();
