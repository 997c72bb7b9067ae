import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { POLICIES, type PolicyName } from '../../routers/policies.ts';
import { DEFAULT_SETTINGS } from '../../routers/policy.ts';
import { RoutingKnowledge } from '../../routers/routing-knowledge.ts';
import type { Backend } from '../core/backend.ts';
import type { RequestDemands, RouteDemands } from '../core/demands.ts';
import type { Deployment } from '../core/deployment.ts';
import { AppError } from '../core/error.ts';
import type { Part } from '../core/part.ts';
import type { GenerateRequest } from '../core/request.ts';
import { patternDetector } from '../privacy/detector.ts';
import { Gateway } from './gateway.ts';

const ANSWER: readonly Part[] = [
  { type: 'start', promptTokens: 7, cachedPromptTokens: 0 },
  { type: 'text-delta', index: 0, text: 'ok', tokens: 1 },
  { type: 'finish', index: 0, reason: 'stop' },
];

type Place = Pick<Deployment, 'privacy' | 'region'> & {
  /** What the backend does when asked. */
  readonly does?: 'answers' | 'fails' | 'hangs';
  readonly down?: boolean;
  readonly quality?: number;
  readonly onAsked?: () => void;
};

function asking(text: string, stream = true): GenerateRequest {
  const body = { model: 'm', messages: [{ role: 'user', content: text }] };
  return {
    id: 'req_1',
    endpoint: 'chat',
    model: 'm',
    prompts: [{ kind: 'chat', messages: [{ role: 'user', content: [{ type: 'text', text }] }] }],
    n: 1,
    stream,
    stop: { maxTokens: 8 },
    requirements: [],
    wire: { dialect: 'openai', path: '/chat/completions', body: Buffer.from(JSON.stringify(body)) },
  } as unknown as GenerateRequest;
}

interface Setting {
  readonly policy?: PolicyName;
  readonly operator?: RouteDemands;
  readonly detect?: boolean;
  readonly random?: () => number;
}

/** A gateway over backends that note whom they were asked by. */
function over(
  places: readonly Place[],
  { policy = 'balanced', operator = {}, detect, random }: Setting = {},
) {
  const asked: number[] = [];
  const deployments = places.map((place, i): Deployment => {
    const backend: Backend = {
      name: `b${i}`,
      kind: 'engine',
      async run(_, { signal }) {
        asked.push(i);
        place.onAsked?.();
        if (place.does === 'fails') throw new AppError('upstream_error');
        if (place.does === 'hangs')
          await new Promise((_resolve, reject) =>
            signal.addEventListener('abort', () => reject(signal.reason)),
          );
        return (async function* () {
          yield* ANSWER;
        })();
      },
      lacks: () => undefined,
      health: () => ({ state: place.down ? 'down' : 'ready', inFlight: 0, queued: 0 }),
      close: async () => {},
    };
    const { privacy, region, quality } = place;
    return {
      id: `b${i}/m`,
      backend,
      model: 'm',
      region,
      privacy,
      quality,
      price: undefined,
      contextTokens: undefined,
    };
  });
  const knowledge = new RoutingKnowledge();
  const route = {
    model: { name: 'm', deployments, createdAtS: 0 },
    policy: POLICIES[policy]({ knowledge, settings: { ...DEFAULT_SETTINGS, exploration: 0.5 } }),
    hedge: true,
    demands: operator,
  };
  const detector = patternDetector(['identity-number', 'payment-card', 'phone']);
  const gateway = new Gateway({
    routes: new Map([['m', route]]),
    emit: () => {},
    maxRetries: 2,
    knowledge,
    privacy: detect ? { detector, mediaCount: false, whenFound: 'local' } : undefined,
    ...(random === undefined ? {} : { random }),
  });
  const ask = async (request: GenerateRequest, demands: RequestDemands = {}, signal?: AbortSignal) => {
    await gateway.handle(
      request,
      signal ?? new AbortController().signal,
      async (reply) => {
        if (reply.kind === 'parts') for await (const _ of reply.parts);
      },
      { demands },
    );
  };
  return { ask, asked, gateway, route };
}

/** Ten requests each: `QIANMEN_PRIVACY_RUNS=10000` for a hundred thousand. */
const RUNS = Number(process.env.QIANMEN_PRIVACY_RUNS ?? 1_000);

const CARD = 'my card is 4111 1111 1111 1111';

describe('where a request may be served', () => {
  it('is held to what the operator demands by the time of another attempt', async () => {
    let tighten = () => {};
    const { ask, asked, gateway, route } = over(
      [
        { privacy: 'private', region: undefined, does: 'fails', onAsked: () => tighten() },
        { privacy: 'public', region: undefined },
      ],
      { policy: 'round-robin' },
    );
    tighten = () =>
      gateway.configure({ routes: new Map([['m', { ...route, demands: { privacy: 'private' as const } }]]) });
    await expect(ask(asking('hello'))).rejects.toMatchObject({ code: 'upstream_error' });
    expect(asked).toEqual([0]);
  });

  it('is told by the client, however many are ready elsewhere', async () => {
    const { ask, asked } = over([
      { privacy: 'public', region: undefined },
      { privacy: 'local', region: undefined },
    ]);
    for (let i = 0; i < 20; i += 1) await ask(asking('hello'), { privacy: 'local' });
    expect(new Set(asked)).toEqual(new Set([1]));
  });

  it('is told by the operator, whom the client cannot undo', async () => {
    const places: Place[] = [
      { privacy: 'public', region: undefined },
      { privacy: 'private', region: undefined },
    ];
    const { ask, asked } = over(places, { operator: { privacy: 'private' } });
    for (let i = 0; i < 20; i += 1) await ask(asking('hello'), { privacy: 'public' });
    expect(new Set(asked)).toEqual(new Set([1]));
  });

  it('is told by the text, wherever in the body it stands', async () => {
    const { ask, asked } = over(
      [
        { privacy: 'public', region: undefined },
        { privacy: 'local', region: undefined },
      ],
      { detect: true },
    );
    const hidden = asking('hello');
    const body = Buffer.from(JSON.stringify({ model: 'm', messages: [], metadata: { note: [CARD] } }));
    for (let i = 0; i < 10; i += 1) {
      await ask(asking(CARD));
      await ask({ ...hidden, wire: { ...hidden.wire, body } });
      await ask({ ...hidden, prompts: [{ kind: 'tokens', tokens: [1, 2] }] });
    }
    expect(new Set(asked)).toEqual(new Set([1]));
  });

  it('is not changed by failures, hedges and what is down', async () => {
    const places: Place[] = [
      { privacy: 'public', region: undefined },
      { privacy: 'local', region: undefined, does: 'fails' },
      { privacy: 'local', region: undefined, does: 'fails', down: true },
    ];
    const { ask, asked } = over(places, { detect: true });
    await expect(ask(asking(CARD))).rejects.toMatchObject({
      code: 'upstream_error',
      message: expect.stringContaining('inside this gateway'),
    });
    expect(asked).not.toContain(0);
  });

  it('may be nowhere: then the error says what forbids it', async () => {
    const { ask, asked } = over([{ privacy: 'public', region: 'eu-1' }]);
    await expect(ask(asking('hello'), { privacy: 'local' })).rejects.toMatchObject({
      code: 'no_deployment_allowed',
      status: 503,
      message: expect.stringContaining('`local`'),
    });
    await expect(ask(asking('hello'), { regions: ['cn-1'] })).rejects.toMatchObject({
      code: 'no_deployment_allowed',
      message: expect.stringContaining('cn-1'),
    });
    expect(asked).toEqual([]);
  });

  it('is the best there is where none is as good as wanted', async () => {
    const places: Place[] = [
      { privacy: 'local', region: undefined, quality: 0.2 },
      { privacy: 'local', region: undefined, quality: 0.5 },
    ];
    const { ask, asked } = over(places);
    await ask(asking('hello'));
    expect(asked).toHaveLength(1);
  });
});

it('nothing crosses a border in random fleets with faults, under any policy', {
  timeout: 120 * RUNS,
}, async () => {
  const privacy = fc.constantFrom('local', 'private', 'public');
  const region = fc.constantFrom(undefined, 'cn-1', 'eu-1');
  const place = fc.record({
    privacy,
    region,
    does: fc.constantFrom('answers', 'fails', 'hangs'),
    down: fc.boolean(),
  } as const);
  const demands = fc.record({
    privacy: fc.option(privacy, { nil: undefined }),
    regions: fc.option(fc.uniqueArray(fc.constantFrom('cn-1', 'eu-1')), { nil: undefined }),
  });
  const policies = Object.keys(POLICIES) as PolicyName[];
  const CLASSES = ['local', 'private', 'public'];
  await fc.assert(
    fc.asyncProperty(
      fc.array(place, { minLength: 1, maxLength: 6 }),
      demands,
      demands,
      fc.boolean(),
      fc.boolean(),
      fc.constantFrom(...policies),
      async (places, operator, client, sensitive, stream, policy) => {
        const { ask, asked, gateway } = over(places, { operator, policy, detect: true });
        const signal = AbortSignal.timeout(20);
        const requests = Array.from({ length: 10 }, () =>
          ask(asking(sensitive ? CARD : 'hello', stream), client, signal).catch((error: unknown) => error),
        );
        await Promise.all(requests);
        const classes = [operator.privacy, client.privacy, sensitive ? 'local' : undefined].filter(
          (c) => c !== undefined,
        );
        const strictest = Math.min(...classes.map((c) => CLASSES.indexOf(c)), 2);
        for (const i of asked) {
          const { privacy, region } = places[i]!;
          expect(CLASSES.indexOf(privacy)).toBeLessThanOrEqual(strictest);
          for (const { regions } of [operator, client])
            if (regions !== undefined && !(region === undefined && privacy === 'local'))
              expect(regions).toContain(region);
        }
        expect(gateway.inFlight).toBe(0);
      },
    ),
    { numRuns: RUNS },
  );
});
