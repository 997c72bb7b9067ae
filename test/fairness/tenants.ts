import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { ModelReport } from '../../src/core/report.ts';
import { openDatabase } from '../../src/store/database.ts';
import { Organizations } from '../../src/store/organizations.ts';
import { type NewProject, Projects } from '../../src/store/projects.ts';
import { bearer, makeKey } from '../access/tenants.ts';
import type { FakeBehaviour } from '../fakes/openai-upstream.ts';
import { chatBody, type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts';
import { spawnFake } from '../upstream/harness.ts';

export interface Shared {
  readonly gateway: GatewayProcess;
  /** Of the tenants, in their order. */
  readonly projectIds: readonly string[];
  /** Asks for a stream as one of the tenants. */
  ask(tenant: number, options?: { readonly signal?: AbortSignal }): Promise<Answer>;
  model(): Promise<ModelReport>;
  /** What the ledger has, by project. */
  usage(): Promise<readonly ProjectUsage[]>;
  /** A sample of the gateway's metrics, by its name and labels. */
  metric(sample: string): Promise<number | undefined>;
}

export interface ProjectUsage {
  readonly project: string;
  readonly requests: number;
  readonly attempts: number;
  readonly promptTokens: number;
}

export interface Answer {
  readonly status: number;
  readonly whole: boolean;
  readonly askedAtMs: number;
  readonly ttftMs: number;
  readonly doneAtMs: number;
  readonly retryAfterS: number;
  /** Inside the gateway. */
  readonly processingMs: number;
  readonly text: string;
}

/** A gateway process in front of a fake server's process, with a project and a key for each tenant. Ends with the test. */
export async function shareAmong(
  tenants: readonly Pick<NewProject, 'weight' | 'priority'>[],
  fake: FakeBehaviour,
  config: { readonly upstream?: object; readonly limits?: object } = {},
): Promise<Shared> {
  const dataDir = mkdtempSync(join(tmpdir(), 'qianmen-fairness-'));
  const database = await openDatabase({ kind: 'sqlite', path: join(dataDir, 'qianmen.db') });
  const { id: organizationId } = await new Organizations(database).create({ name: 'all' });
  const keys: { readonly projectId: string; readonly secret: string }[] = [];
  for (const [i, share] of tenants.entries()) {
    const { id: projectId } = await new Projects(database).create({
      name: `t${i}`,
      organizationId,
      ...share,
    });
    const { secret } = await makeKey(database, { name: `k${i}`, projectId, role: 'admin' });
    keys.push({ projectId, secret });
  }
  await database.close();
  const { url } = await spawnFake(fake);
  const gateway = await startGatewayProcess({
    dataDir,
    upstreams: [{ name: 'a', url, ...config.upstream }],
    models: [{ name: 'm', deployments: [{ upstream: 'a', model: 'fake-model' }] }],
    limits: config.limits ?? {},
  });
  onTestFinished(() => gateway.kill());
  return {
    gateway,
    projectIds: keys.map(({ projectId }) => projectId),
    async ask(tenant, { signal } = {}) {
      const askedAtMs = performance.now();
      const reply = await fetch(`${gateway.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...bearer(keys[tenant]!.secret) },
        body: chatBody('m', { stream: true }),
        ...(signal && { signal }),
      });
      let text = '';
      let ttftMs = Number.NaN;
      for await (const piece of reply.body!.pipeThrough(new TextDecoderStream())) {
        text += piece;
        if (Number.isNaN(ttftMs) && text.includes('"content"')) ttftMs = performance.now() - askedAtMs;
      }
      const doneAtMs = performance.now();
      const { status, headers } = reply;
      const whole = status === 200 && text.trimEnd().endsWith('[DONE]') && !text.includes('"error"');
      const retryAfterS = Number(headers.get('retry-after'));
      const processingMs = Number(headers.get('openai-processing-ms'));
      return { status, whole, askedAtMs, ttftMs, doneAtMs, retryAfterS, processingMs, text };
    },
    async model() {
      const reply = await fetch(`${gateway.url}/admin/upstreams`, { headers: bearer(keys[0]!.secret) });
      return ((await reply.json()) as { models: ModelReport[] }).models[0]!;
    },
    async usage() {
      const reply = await fetch(`${gateway.url}/admin/usage?group_by=project`, {
        headers: bearer(keys[0]!.secret),
      });
      return ((await reply.json()) as { usage: ProjectUsage[] }).usage;
    },
    async metric(sample) {
      const reply = await fetch(`${gateway.url}/metrics`, { headers: bearer(keys[0]!.secret) });
      const line = (await reply.text()).split('\n').find((one) => one.startsWith(`${sample} `));
      return line === undefined ? undefined : Number(line.slice(sample.length + 1));
    },
  };
}

/**
 * Sends at random times, as often as that on average, whatever becomes of it. @returns All answers.
 * @param signal Ends it early, and all that was not answered by then.
 */
export async function sendSteadily(
  { ask }: Shared,
  tenant: number,
  perSecond: number,
  forMs: number,
  signal?: AbortSignal,
): Promise<Answer[]> {
  const answers: Promise<Answer | undefined>[] = [];
  const untilMs = performance.now() + forMs;
  for (let atMs = performance.now(); ; ) {
    atMs += (-Math.log(1 - Math.random()) / perSecond) * 1_000;
    if (atMs > untilMs) break;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, atMs - performance.now())));
    if (signal?.aborted) break;
    answers.push(
      ask(tenant, signal && { signal }).catch((error: unknown) => {
        if (signal?.aborted) return undefined;
        throw error;
      }),
    );
  }
  return (await Promise.all(answers)).filter((answer) => answer !== undefined);
}

/** So many clients that ask again as soon as they are answered; refused ones after a while. @returns All answers. */
export async function sendWithClients(
  { ask }: Shared,
  tenant: number,
  clients: number,
  forMs: number,
  pauseMs = 300,
): Promise<Answer[]> {
  const answers: Answer[] = [];
  const untilMs = performance.now() + forMs;
  const client = async () => {
    while (performance.now() < untilMs) {
      const answer = await ask(tenant);
      answers.push(answer);
      if (answer.status !== 200) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return answers;
}

export function quantile(values: readonly number[], q: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * q)] ?? Number.NaN;
}
