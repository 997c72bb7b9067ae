import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FakeUpstream, startFakeUpstream } from '../fakes/openai-upstream.ts';
import { REAL_MODEL, realModelPath } from '../model-file.ts';
import { eventually, type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts';
import { startLlamaServer } from './llama-server.ts';
import { startVllm } from './vllm-server.ts';

const program = process.env.QIANMEN_LLAMA_SERVER;
const venv = process.env.QIANMEN_VLLM_VENV;
const none = program === undefined && venv === undefined;
if (none)
  process.stderr.write(
    'Neither QIANMEN_LLAMA_SERVER (the program llama-server) nor QIANMEN_VLLM_VENV is set: tests of local, own and cloud together are skipped.\n',
  );

/** A number that the detector finds, so that the text may only go to machines of the operator. */
const PRIVATE_TEXT = 'My card is 4111 1111 1111 1111. Say something nice about it.';
const OPEN_TEXT = 'Say something nice about the sea.';
const CLIENTS = 3;

type Kind = 'open' | 'private' | 'local';

interface Told {
  readonly kind: Kind;
  readonly status: number;
  readonly text: string;
  readonly decision: string;
}

interface Decision {
  readonly refused: readonly { readonly deployment: string; readonly obstacle: string }[];
  readonly choices: readonly {
    readonly chosen: string;
    readonly candidates: readonly { readonly id: string }[];
  }[];
  readonly observed: {
    readonly deployment: string;
    readonly attempts: readonly { readonly deployment: string; readonly code: string | undefined }[];
  };
}

describe.skipIf(none)('a local engine, a server of one’s own and a cloud behind one name', () => {
  let own: { readonly url: string; readonly model: string; readonly apiKey?: string; close(): Promise<void> };
  let cloud: FakeUpstream;
  let gateway: GatewayProcess;
  const local = `${REAL_MODEL}/${REAL_MODEL}`;

  beforeAll(async () => {
    own = program === undefined ? await startVllm(venv!) : await startLlamaServer(program, realModelPath());
    cloud = await startFakeUpstream({ behaviour: { ttftMs: 5, tokens: 8 } });
    const price = { inputUsdPerMTok: 1, outputUsdPerMTok: 2 };
    gateway = await startGatewayProcess({
      engines: [{ name: REAL_MODEL, path: realModelPath(), threads: 1, contextTokens: 512 }],
      upstreams: [
        { name: 'own', url: own.url, privacy: 'private', ...(own.apiKey ? { apiKey: own.apiKey } : {}) },
        { name: 'cloud', url: cloud.url },
      ],
      models: [
        {
          name: 'auto',
          deployments: [
            { engine: REAL_MODEL },
            { upstream: 'own', model: own.model },
            { upstream: 'cloud', model: 'fake-model', price },
          ],
        },
      ],
      privacy: { detect: ['payment-card'] },
    });
    await eventually('all are ready', async () => (await told('local')).status === 200, 60_000);
  }, 400_000);
  afterAll(async () => {
    await gateway?.kill();
    await Promise.all([own?.close(), cloud?.close()]);
  });

  async function told(kind: Kind): Promise<Told> {
    const reply = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(kind === 'local' && { 'x-qianmen-privacy': 'local' }),
      },
      body: JSON.stringify({
        model: 'auto',
        messages: [{ role: 'user', content: kind === 'open' ? OPEN_TEXT : PRIVATE_TEXT }],
        max_tokens: 8,
        stream: true,
      }),
    });
    const text = await reply.text();
    return { kind, status: reply.status, text, decision: reply.headers.get('x-qianmen-decision')! };
  }

  const decisionOf = async ({ decision }: Told) =>
    (await (await fetch(`${gateway.url}/admin/decisions/${decision}`)).json()) as Decision;

  /** Clients that go on asking while something happens, and for some requests after it. */
  async function asking(kinds: readonly Kind[], happens: () => Promise<void>): Promise<Told[]> {
    const all: Told[] = [];
    let left = Number.POSITIVE_INFINITY;
    const clients = Array.from({ length: CLIENTS }, async (_, client) => {
      for (let i = client; left > 0; i += 1) {
        all.push(await told(kinds[i % kinds.length]!));
        left -= 1;
      }
    });
    await expect.poll(() => all.length, { timeout: 60_000 }).toBeGreaterThan(CLIENTS);
    await happens();
    left = 4 * CLIENTS;
    await Promise.all(clients);
    return all;
  }

  const whole = ({ status, text }: Told) =>
    status === 200 && text.endsWith('data: [DONE]\n\n') && !text.includes('"error"');
  const failures = (all: readonly Told[]) =>
    all.filter((one) => !whole(one)).map(({ kind, text }) => [kind, text]);
  const post = (path: string) => fetch(`${gateway.url}/admin/${path}`, { method: 'POST' });

  /** Nothing that must stay was seen outside, and what was refused is said. */
  async function expectNoCrossing(all: readonly Told[]): Promise<void> {
    expect(cloud.requests.filter(({ rawBody }) => rawBody.includes('4111'))).toEqual([]);
    for (const one of all.filter(({ kind }) => kind !== 'open')) {
      const decision = await decisionOf(one);
      const forbidden =
        one.kind === 'local' ? ['cloud/fake-model', `own/${own.model}`] : ['cloud/fake-model'];
      for (const deployment of forbidden)
        expect(decision.refused).toContainEqual({ deployment, obstacle: 'privacy' });
      const asked = decision.choices.flatMap(({ candidates }) => candidates.map(({ id }) => id));
      expect(asked.filter((id) => forbidden.includes(id))).toEqual([]);
    }
  }

  it('a cloud that fails is not noticed, and decisions tell who stood in', async () => {
    const all = await asking(['open', 'private', 'local'], async () => {
      cloud.setBehaviour({ status: 503 });
    });
    cloud.setBehaviour({ ttftMs: 5, tokens: 8 });
    expect(failures(all)).toEqual([]);
    await expectNoCrossing(all);
    const decisions = await Promise.all(all.map(decisionOf));
    for (const { observed } of decisions)
      for (const attempt of observed.attempts.slice(0, -1))
        expect(attempt.deployment).toBe('cloud/fake-model');
  }, 200_000);

  it('while the own server is drained, private texts go to the local engine and open ones where they may', async () => {
    let drained: Told[] = [];
    await post('upstreams/own/drain');
    drained = await asking(['open', 'private'], async () => {});
    await post('upstreams/own/undrain');
    expect(failures(drained)).toEqual([]);
    await expectNoCrossing(drained);
    const places = await Promise.all(drained.map(decisionOf));
    expect(places.map(({ observed }) => observed.deployment)).not.toContain(`own/${own.model}`);
  }, 200_000);

  it('a local engine that is killed takes only what it had begun with it, and nothing private outside', async () => {
    const [engine] = gateway.enginePids();
    const all = await asking(['open', 'private'], async () => {
      process.kill(engine!, 'SIGKILL');
    });
    // What had begun cannot be begun anew elsewhere: at most one reply of each client, told as an error within the stream.
    const broken = all.filter((one) => !whole(one));
    expect(broken.length).toBeLessThanOrEqual(CLIENTS);
    for (const one of broken) {
      expect(one.status).toBe(200);
      expect((await decisionOf(one)).observed.deployment).toBe(local);
    }
    await expectNoCrossing(all);
    await eventually('the engine is back', async () => (await told('local')).status === 200, 60_000);
  }, 200_000);
});
