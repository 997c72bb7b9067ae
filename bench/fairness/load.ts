/**
 * The same in real time: gateway processes, keys, and modelled servers that speak HTTP.
 *
 *   node bench/fairness/load.ts [--seconds 20] [--quiet-seconds 0] [--only NAME] [--workers 1]
 *
 * Three quiet tenants and one that sends a hundred times as much as each, at random times, whatever becomes of it; beside it, at the same time,
 * the same quiet ones at a gateway and a server of their own. Prints by how much the 95th percentile of the quiet ones is above that (time to first token,
 * or to the whole reply where it is not streamed), and what the loud one got done.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openDatabase } from '../../src/store/database.ts';
import { Organizations } from '../../src/store/organizations.ts';
import { Projects } from '../../src/store/projects.ts';
import { makeKey } from '../../test/access/tenants.ts';
import { chatBody, startGatewayProcess } from '../../test/support/gateway-process.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    'quiet-seconds': { type: 'string', default: '0' },
    only: { type: 'string' },
    workers: { type: 'string', default: '1' },
  },
});
const bothMs = Number(values.seconds) * 1_000;
const quietMs = Number(values['quiet-seconds']) * 1_000;
/** Of the last ones. */
const GRACE_MS = 5_000;

interface Answer {
  readonly loud: boolean;
  readonly askedAtMs: number;
  readonly status: number;
  /** Until something of the reply was there; of one that is not streamed, all of it. */
  readonly begunMs: number;
}

interface Setting {
  readonly url: string;
  /** Of the quiet tenants, and of the loud one. */
  readonly keys: readonly string[];
  readonly processes: readonly ChildProcess[];
}

async function open(scenario: Scenario): Promise<Setting> {
  const dataDir = mkdtempSync(join(tmpdir(), 'qianmen-load-'));
  const database = await openDatabase({ kind: 'sqlite', path: join(dataDir, 'qianmen.db') });
  const { id: organizationId } = await new Organizations(database).create({ name: 'all' });
  const weights = [...Array.from({ length: scenario.quietTenants }, () => 1), scenario.loud?.weight ?? 1];
  const keys: string[] = [];
  for (const [i, weight] of weights.entries()) {
    const { id: projectId } = await new Projects(database).create({ name: `t${i}`, organizationId, weight });
    keys.push((await makeKey(database, { name: `k${i}`, projectId, role: 'admin' })).secret);
  }
  await database.close();
  const servers: ChildProcess[] = [];
  const upstreams: object[] = [];
  for (let i = 0; i < (scenario.servers ?? 1); i += 1) {
    const program = fileURLToPath(new URL('model-server.ts', import.meta.url));
    const child = spawn(process.execPath, [program, scenario.name], { stdio: ['ignore', 'pipe', 'inherit'] });
    servers.push(child);
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    const { concurrency } = scenario;
    upstreams.push({ name: `s${i}`, url: JSON.parse(line).url, ...(concurrency && { concurrency }) });
  }
  const deployments = upstreams.map((_, i) => ({ upstream: `s${i}`, model: 'served' }));
  const listen = { workers: Number(values.workers) };
  const gateway = await startGatewayProcess({
    dataDir,
    listen,
    upstreams,
    models: [{ name: 'm', deployments }],
  });
  return { url: gateway.url, keys, processes: [...servers, gateway.child] };
}

const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });

function ask({ url, keys }: Setting, tenant: number, scenario: Scenario): Promise<Answer> {
  const askedAtMs = performance.now();
  const loud = tenant === scenario.quietTenants;
  const stream = scenario.whole !== true;
  return new Promise((resolve) => {
    let begunMs = Number.POSITIVE_INFINITY;
    const headers = { authorization: `Bearer ${keys[tenant]}`, 'content-type': 'application/json' };
    const sent = request(`${url}/v1/chat/completions`, { method: 'POST', agent, headers }, (response) => {
      response.on('data', () => {
        if (stream && begunMs === Number.POSITIVE_INFINITY) begunMs = performance.now() - askedAtMs;
      });
      response.on('end', () => {
        if (!stream) begunMs = performance.now() - askedAtMs;
        const status = response.statusCode ?? 0;
        resolve({ loud, askedAtMs, status, begunMs: status === 200 ? begunMs : Number.POSITIVE_INFINITY });
      });
    });
    sent.on('error', () => resolve({ loud, askedAtMs, status: 0, begunMs: Number.POSITIVE_INFINITY }));
    sent.end(chatBody('m', { stream, user: 'x'.repeat(scenario.promptTokens * 4) }));
  });
}

async function send(
  setting: Setting,
  scenario: Scenario,
  tenant: number,
  perSecond: number,
  untilMs: number,
): Promise<Answer[]> {
  const answers: Promise<Answer>[] = [];
  for (let atMs = performance.now(); ; ) {
    atMs += (-Math.log(1 - Math.random()) / perSecond) * 1_000;
    if (atMs > untilMs) break;
    await sleep(Math.max(0, atMs - performance.now()));
    answers.push(ask(setting, tenant, scenario));
  }
  const late = sleep(GRACE_MS, undefined, { ref: false });
  const unanswered = { loud: tenant === scenario.quietTenants, askedAtMs: 0, status: 0 };
  const giveUp = late.then(() => ({ ...unanswered, begunMs: Number.POSITIVE_INFINITY }));
  return Promise.all(answers.map((answer) => Promise.race([answer, giveUp])));
}

async function measure(scenario: Scenario): Promise<string> {
  const [shared, alone] = [await open(scenario), await open(scenario)];
  const beganAtMs = performance.now();
  const untilMs = beganAtMs + quietMs + bothMs;
  const quiet = (setting: Setting) =>
    Array.from({ length: scenario.quietTenants }, (_, tenant) =>
      send(setting, scenario, tenant, scenario.quietPerSecond, untilMs),
    );
  const loud = sleep(quietMs).then(() =>
    send(shared, scenario, scenario.quietTenants, 100 * scenario.quietPerSecond, untilMs),
  );
  const [felt, control, answers] = await Promise.all([
    Promise.all(quiet(shared)),
    Promise.all(quiet(alone)),
    loud,
  ]);
  for (const child of [...shared.processes, ...alone.processes]) child.kill('SIGKILL');
  const p95 = (all: readonly Answer[][]) => {
    const beside = all.flat().filter(({ askedAtMs }) => askedAtMs === 0 || askedAtMs > beganAtMs + quietMs);
    return quantile(
      beside.map(({ begunMs }) => begunMs),
      0.95,
    );
  };
  const done = answers.filter(({ status }) => status === 200).length;
  const refused = answers.filter(({ status }) => status === 429 || status === 503).length;
  const ratio = p95(felt) / p95(control);
  return (
    `${scenario.name} | ${p95(control).toFixed(0)} → ${p95(felt).toFixed(0)} ms | ×${ratio.toFixed(2)} | ` +
    `loud: ${(done / (bothMs / 1_000)).toFixed(1)} per s, ${refused} refused, ${answers.length - done - refused} neither`
  );
}

function quantile(all: readonly number[], q: number): number {
  return all.toSorted((a, b) => a - b)[Math.floor(all.length * q)] ?? Number.NaN;
}

console.log('scenario | p95 of the quiet ones alone → beside the loud one | ratio | the loud one');
for (const scenario of SCENARIOS) {
  if (scenario.quietTenants === 0 || !scenario.name.includes(values.only ?? '')) continue;
  console.log(await measure(scenario));
}
process.exit();
