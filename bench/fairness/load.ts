/**
 * The same in real time: gateway processes, keys, and modelled servers that speak HTTP.
 *
 *   node bench/fairness/load.ts [--seconds 20] [--quiet-seconds 0] [--loud-seconds 0] [--only NAME] [--workers 1]
 *
 * Three quiet tenants and one that sends a hundred times as much as each (or several that do so together), at random times, whatever becomes of it; beside it, at the same time,
 * the same quiet ones at a gateway and a server of their own. Prints by how much the 95th percentile of the quiet ones is above that (time to first token,
 * or to the whole reply where it is not streamed), and what the loud one got done.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { SCENARIOS, type Scenario } from './scenarios.ts';
import { type Answer, openSetting, quantile, type Setting, send, sendWithClients } from './setting.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    'quiet-seconds': { type: 'string', default: '0' },
    'loud-seconds': { type: 'string', default: '0' },
    only: { type: 'string' },
    workers: { type: 'string', default: '1' },
  },
});
const bothMs = Number(values.seconds) * 1_000;
const quietMs = Number(values['quiet-seconds']) * 1_000;
const loudMs = Number(values['loud-seconds']) * 1_000;
const listen = { workers: Number(values.workers) };

async function measure(scenario: Scenario): Promise<string> {
  const { quietTenants, quietPerSecond } = scenario;
  const { tenants, times, weight = 1 } = scenario.loud ?? { tenants: 1, times: 100 };
  const weights = Array.from({ length: quietTenants + tenants }, (_, i) => (i < quietTenants ? 1 : weight));
  const shared = await openSetting(scenario, weights, { listen });
  const alone = await openSetting(scenario, weights, { listen });
  const beganAtMs = performance.now();
  const bothAtMs = beganAtMs + quietMs + loudMs;
  const untilMs = bothAtMs + bothMs;
  const from = async (setting: Setting, tenant: number, afterMs: number, times: number) => {
    await sleep(afterMs);
    return scenario.closed
      ? sendWithClients(setting, tenant, times, untilMs)
      : send(setting, tenant, times * quietPerSecond, untilMs);
  };
  const quiet = (setting: Setting) =>
    Promise.all(Array.from({ length: quietTenants }, (_, tenant) => from(setting, tenant, loudMs, 1)));
  const loud = Promise.all(
    Array.from({ length: tenants }, (_, i) => from(shared, quietTenants + i, quietMs, times / tenants)),
  );
  const [felt, control, louds] = await Promise.all([quiet(shared), quiet(alone), loud]);
  const answers = louds.flat();
  shared.close();
  alone.close();
  const p95 = (all: readonly Answer[][]) => {
    const beside = all.flat().filter(({ askedAtMs }) => askedAtMs > bothAtMs);
    return quantile(
      beside.map(({ begunMs }) => begunMs),
      0.95,
    );
  };
  const done = answers.filter(
    ({ status, askedAtMs, doneMs }) => status === 200 && askedAtMs + doneMs > bothAtMs,
  ).length;
  const refused = answers.filter(({ status }) => status === 429 || status === 503).length;
  const ratio = p95(felt) / p95(control);
  return (
    `${scenario.name} | ${p95(control).toFixed(0)} → ${p95(felt).toFixed(0)} ms | ×${ratio.toFixed(2)} | ` +
    `${(done / (bothMs / 1_000)).toFixed(1)} per s, ${refused} refused, ${answers.length - done - refused} neither`
  );
}

console.log('scenario | p95 of the quiet ones alone → beside the loud one | ratio | the loud one');
for (const scenario of SCENARIOS) {
  if (scenario.quietTenants === 0 || !scenario.name.includes(values.only ?? '')) continue;
  console.log(await measure(scenario));
}
process.exit();
