import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type FakeBehaviour, type FakeUpstream, startFakeUpstream } from '../fakes/openai-upstream.ts';
import { eventually, isWhole, type ServedFleet, serveUpstreams } from '../resilience/fleet.ts';
import { freezableProxy } from '../store/freezable-proxy.ts';
import { chatBody, postChat } from '../support/gateway-process.ts';
import { makeNamespace, namespaceObstacle } from '../support/network-namespace.ts';

const FAKE = fileURLToPath(new URL('../fakes/openai-upstream.ts', import.meta.url));

/** An upstream whose other end can vanish without a word. */
interface Vanishing {
  readonly url: string;
  /** Whatever is under way is lost from now on, both ways. No connection is closed. */
  vanish(): void;
  /** It is there again, and has forgotten its connections. */
  comeBack(): Promise<void>;
}

/** The kernel at the other end still acknowledges what is sent, and nobody reads it. */
async function behindFrozenProxy(behaviour: FakeBehaviour): Promise<Vanishing> {
  const fake = await startFakeUpstream({ behaviour });
  const proxy = await freezableProxy(fake.port);
  onTestFinished(async () => {
    proxy.close();
    await fake.close();
  });
  return {
    url: `http://127.0.0.1:${proxy.port}/v1`,
    vanish: () => proxy.freeze(),
    async comeBack() {
      fake.setBehaviour({});
      fake.cutConnections();
      proxy.thaw();
    },
  };
}

/** Packets are dropped: nothing is acknowledged. */
async function behindCutCable(behaviour: FakeBehaviour): Promise<Vanishing> {
  const network = makeNamespace();
  onTestFinished(() => network.close());
  const spawnFake = async (port: number, does: FakeBehaviour) => {
    const args = [
      FAKE,
      '--host',
      network.address,
      '--port',
      String(port),
      '--behaviour',
      JSON.stringify(does),
    ];
    const { child, line } = await network.spawnNode(args);
    return { child, ...(JSON.parse(line) as { url: string; port: number }) };
  };
  const { child, url, port } = await spawnFake(0, behaviour);
  return {
    url,
    vanish: () => network.cut(),
    async comeBack() {
      child.kill('SIGKILL');
      await eventually('it has ended', () => child.signalCode !== null);
      network.mend();
      await spawnFake(port, {});
    },
  };
}

const obstacle = namespaceObstacle();
const WAYS = [
  ['behind a proxy that passes nothing on', behindFrozenProxy, undefined],
  [
    `behind a cable that is cut${obstacle === undefined ? '' : ` (not here: ${obstacle})`}`,
    behindCutCable,
    obstacle,
  ],
] as const;

/** Of the odd one. The good one has its time: a process that gets no processor for a second must not seem to have vanished, too. */
const LIMITS = {
  upstreams: {
    a: {
      timeouts: { connectMs: 500, firstByteMs: 800, idleMs: 800, totalMs: 60_000 },
      probe: { intervalMs: 200, timeoutMs: 1_000 },
    },
  },
};
/** Many times the limits, and a fraction of what a reply may take in all. */
const LATE_MS = 15_000;

describe.each(WAYS)('an upstream %s', (_, make, unavailable) => {
  const test = unavailable === undefined ? it : it.skip;

  async function serve(behaviour: FakeBehaviour) {
    const odd = await make(behaviour);
    const good: FakeUpstream = await startFakeUpstream();
    onTestFinished(() => good.close());
    return { odd, good, fleet: await serveUpstreams([odd.url, good.url], LIMITS) };
  }

  /** `a` is asked first. */
  async function askedFirst(fleet: ServedFleet, stream: boolean) {
    const asked = [fleet.ask({ stream }), fleet.ask({ stream })];
    await eventually('it is asked', () => fleet.backend('a').inFlight > 0);
    return asked;
  }

  test('before the first token: the request moves on after the limit', async () => {
    const { odd, fleet } = await serve({ ttftMs: 60_000 });
    const asked = await askedFirst(fleet, true);
    odd.vanish();
    const answers = await Promise.all(asked);
    expect(answers.filter(isWhole)).toHaveLength(2);
    await fleet.idle();
  });

  test('while a whole reply is awaited: unanswered probes tell, and the request moves on', async () => {
    const { odd, fleet } = await serve({ ttftMs: 60_000 });
    const asked = await askedFirst(fleet, false);
    odd.vanish();
    for (const { status, text, durationMs } of await Promise.all(asked)) {
      expect(status, text).toBe(200);
      expect(durationMs).toBeLessThan(LATE_MS);
    }
    await fleet.idle();
  });

  test('in the middle of a stream: the client is told once, within the limit', async () => {
    const { odd, fleet } = await serve({ itlMs: 10, tokens: 5_000 });
    // The second of them goes to the other one, and ends well.
    const replies = await Promise.all([1, 2].map(() => postChat(fleet.url, chatBody('m', { stream: true }))));
    const readers = replies.map((reply) => reply.body!.pipeThrough(new TextDecoderStream()).getReader());
    const texts = await Promise.all(readers.map(async (reader) => (await reader.read()).value ?? ''));
    odd.vanish();
    const vanishedAtMs = performance.now();
    await Promise.all(
      readers.map(async (reader, i) => {
        for (let read = await reader.read(); !read.done; read = await reader.read()) texts[i] += read.value;
      }),
    );
    expect(performance.now() - vanishedAtMs).toBeLessThan(LATE_MS);
    const [broken, ...others] = texts.sort(
      (one, other) => Number(one.includes('[DONE]')) - Number(other.includes('[DONE]')),
    );
    expect(broken!.match(/"error"/g)).toHaveLength(1);
    expect(broken).not.toContain('[DONE]');
    expect(others.every((text) => isWhole({ status: 200, text }))).toBe(true);
    await fleet.idle();
  });

  test('with idle connections: who is sent over one moves on, and the rest stays away from it until it is back', async () => {
    const { odd, fleet } = await serve({});
    await Promise.all(Array.from({ length: 8 }, () => fleet.ask()));
    await fleet.idle();
    odd.vanish();
    for (let round = 0; round < 3; round += 1) {
      const answers = await Promise.all(Array.from({ length: 10 }, () => fleet.ask()));
      expect(answers.filter((one) => !isWhole(one)).map(({ text }) => text)).toEqual([]);
    }
    await eventually('it is known to be down', () => fleet.backend('a').health.state === 'down');
    const { retries } = fleet.model();
    expect(isWhole(await fleet.ask())).toBe(true);
    expect(fleet.model().retries).toBe(retries);
    await odd.comeBack();
    await eventually('it is back', () => fleet.backend('a').health.state === 'ready', 30_000);
    const answers = await Promise.all(Array.from({ length: 10 }, () => fleet.ask()));
    expect(answers.filter(isWhole)).toHaveLength(10);
    await fleet.idle();
  });

  test('that was gone and came back unnoticed: the request is sent once more, on a new connection', async () => {
    const odd = await make({});
    // Nobody looks meanwhile, and there is nobody else.
    const fleet = await serveUpstreams([odd.url], { upstream: { probe: { intervalMs: 600_000 } } });
    await Promise.all(Array.from({ length: 4 }, () => fleet.ask()));
    await fleet.idle();
    odd.vanish();
    await odd.comeBack();
    const answers = await Promise.all(Array.from({ length: 4 }, () => fleet.ask()));
    expect(answers.filter(isWhole)).toHaveLength(4);
    await fleet.idle();
  });
});
