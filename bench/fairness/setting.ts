import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openDatabase } from '../../src/store/database.ts';
import { Organizations } from '../../src/store/organizations.ts';
import { Projects } from '../../src/store/projects.ts';
import { makeKey } from '../../test/access/tenants.ts';
import { chatBody, startGatewayProcess } from '../../test/support/gateway-process.ts';
import type { Scenario } from './scenarios.ts';

/** Longer than anybody waits in line. */
const GRACE_MS = 12_000;
/** Who was refused comes back after so long. */
const BACK_AFTER_MS = 100;

export interface Answer {
  readonly askedAtMs: number;
  /** 0: none came. */
  readonly status: number;
  /** Until something of the reply was there; of one that is not streamed, all of it. */
  readonly begunMs: number;
  readonly doneMs: number;
}

/** A gateway process, and servers. */
export interface Setting {
  readonly scenario: Scenario;
  readonly url: string;
  /** Of the tenants; none: nobody needs one. */
  readonly keys: readonly string[];
  readonly gateway: ChildProcess;
  close(): void;
}

/** @param weights Of the tenants. */
export async function openSetting(
  scenario: Scenario,
  weights: readonly number[],
  config: object = {},
): Promise<Setting> {
  const dataDir = mkdtempSync(join(tmpdir(), 'qianmen-load-'));
  const keys: string[] = [];
  if (weights.length > 0) {
    const database = await openDatabase({ kind: 'sqlite', path: join(dataDir, 'qianmen.db') });
    const organizations = new Organizations(database);
    const [all, loud] = [
      await organizations.create({ name: 'all' }),
      await organizations.create({ name: 'loud' }),
    ];
    for (const [i, weight] of weights.entries()) {
      const isApart = scenario.loud?.together === true && i >= scenario.quietTenants;
      const { id: organizationId } = isApart ? loud : all;
      const { id: projectId } = await new Projects(database).create({
        name: `t${i}`,
        organizationId,
        weight,
      });
      keys.push((await makeKey(database, { name: `k${i}`, projectId, role: 'admin' })).secret);
    }
    await database.close();
  }
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
  const models = [{ name: 'm', deployments }];
  const gateway = await startGatewayProcess({ dataDir, upstreams, models, ...config });
  const close = () => {
    for (const child of [...servers, gateway.child]) child.kill('SIGTERM');
  };
  return { scenario, url: gateway.url, keys, gateway: gateway.child, close };
}

const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });

function ask({ scenario, url, keys }: Setting, tenant: number): Promise<Answer> {
  const askedAtMs = performance.now();
  const stream = scenario.whole !== true;
  return new Promise((resolve) => {
    let begunMs = Number.POSITIVE_INFINITY;
    const answer = (status: number) => {
      const doneMs = performance.now() - askedAtMs;
      if (!stream) begunMs = doneMs;
      resolve({ askedAtMs, status, begunMs: status === 200 ? begunMs : Number.POSITIVE_INFINITY, doneMs });
    };
    const headers = {
      'content-type': 'application/json',
      ...(keys[tenant] && { authorization: `Bearer ${keys[tenant]}` }),
    };
    const sent = request(`${url}/v1/chat/completions`, { method: 'POST', agent, headers }, (response) => {
      response.on('data', () => {
        if (begunMs === Number.POSITIVE_INFINITY) begunMs = performance.now() - askedAtMs;
      });
      response.on('end', () => answer(response.statusCode ?? 0));
    });
    sent.on('error', () => answer(0));
    sent.end(chatBody('m', { stream, user: 'x'.repeat(scenario.promptTokens * 4) }));
  });
}

/** Sends at random times, so often on average, whatever becomes of it. */
export async function send(
  setting: Setting,
  tenant: number,
  perSecond: number,
  untilMs: number,
): Promise<Answer[]> {
  const answers: Promise<Answer>[] = [];
  for (let atMs = performance.now(); ; ) {
    atMs += (-Math.log(1 - Math.random()) / perSecond) * 1_000;
    if (atMs > untilMs) break;
    const waitMs = atMs - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    const askedAtMs = performance.now();
    const none = {
      askedAtMs,
      status: 0,
      begunMs: Number.POSITIVE_INFINITY,
      doneMs: Number.POSITIVE_INFINITY,
    };
    const giveUp = sleep(Math.max(1, untilMs + GRACE_MS - askedAtMs), none, { ref: false });
    answers.push(Promise.race([ask(setting, tenant), giveUp]));
  }
  return Promise.all(answers);
}

/** Asks with so many clients, each as soon as it has its reply, or a while after it was refused. */
export async function sendWithClients(
  setting: Setting,
  tenant: number,
  clients: number,
  untilMs: number,
): Promise<Answer[]> {
  const answers: Answer[] = [];
  const client = async () => {
    while (performance.now() < untilMs) {
      const answer = await ask(setting, tenant);
      answers.push(answer);
      if (answer.status !== 200) await sleep(BACK_AFTER_MS);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return answers;
}

export function quantile(all: readonly number[], q: number): number {
  return all.toSorted((a, b) => a - b)[Math.floor(all.length * q)] ?? Number.NaN;
}
