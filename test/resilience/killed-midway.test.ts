import { describe, expect, it } from 'vitest';
import { chatBody, metric, postChat } from '../support/gateway-process.ts';
import { spawnFake } from '../upstream/harness.ts';
import { eventually, type ServedFleet, serveUpstreams } from './fleet.ts';

const LONG = { itlMs: 10, tokens: 5_000 };
/** Than the minute of the stream. */
const MUCH_SHORTER_MS = 15_000;

/** A stream in the middle of which something happens: what came, and how long after it the end was. */
async function streamUntil(fleet: ServedFleet, happen: () => void) {
  const reply = await postChat(fleet.url, chatBody('m', { stream: true, max_tokens: 5_000 }));
  let text = '';
  let happenedAtMs: number | undefined;
  const decoder = new TextDecoder();
  for await (const bytes of reply.body!) {
    text += decoder.decode(bytes as Uint8Array, { stream: true });
    if (happenedAtMs !== undefined || !text.includes('word5')) continue;
    happenedAtMs = performance.now();
    happen();
  }
  return { text, endedAfterMs: performance.now() - (happenedAtMs ?? Number.NaN) };
}

const words = (text: string) => text.match(/"content":" ?word/g)?.length ?? 0;

describe('a process that, in the middle of a stream,', () => {
  it.each([
    ['is killed', 'SIGKILL', 'upstream_error'],
    ['is stopped', 'SIGSTOP', 'upstream_timeout'],
  ] as const)(
    '%s: its client gets an error event, and is billed once for what it got',
    async (_, signal, code) => {
      const [first, second] = await Promise.all([spawnFake(LONG), spawnFake(LONG)]);
      const fleet = await serveUpstreams([first.url, second.url], {
        // The first request of all takes long where the machine is busy, and must not move on.
        upstream: { timeouts: { firstByteMs: 2_000, idleMs: 1_500 } },
      });
      const { text, endedAfterMs } = await streamUntil(fleet, () => {
        const busy = fleet.backend('a').inFlight > 0 ? first : second;
        busy.child.kill(signal);
      });
      expect(endedAfterMs).toBeLessThan(MUCH_SHORTER_MS);
      const events = text.trimEnd().split('\n\n');
      expect(events.at(-1)).toContain(`"${code}"`);
      expect(text.match(/"error"/g)).toHaveLength(1);
      expect(text).not.toContain('[DONE]');
      expect(fleet.model().retries).toBe(0);
      await fleet.idle();
      expect(await metric(fleet.url, 'qianmen_requests_total')).toBe(1);
      const metrics = await (await fetch(`${fleet.url}/metrics`)).text();
      const billed = Number(/qianmen_tokens_total\{model="m",kind="completion"\} (\d+)/.exec(metrics)?.[1]);
      expect(billed).toBe(words(text));
      // Whoever is left serves on.
      for (let i = 0; i < 3; i += 1) {
        const leaving = new AbortController();
        const again = await postChat(fleet.url, chatBody('m', { stream: true }), leaving.signal);
        expect(again.status).toBe(200);
        leaving.abort();
      }
      await eventually('nothing runs', () => fleet.running.gateway.inFlight === 0);
      await fleet.idle();
      first.child.kill('SIGCONT');
      second.child.kill('SIGCONT');
    },
  );
});

it('a fleet whose processes are killed one after the other under load tells every client how its reply ended', async () => {
  const behaviour = { ttftMs: 50, itlMs: 5, tokens: 20 };
  const fakes = await Promise.all([1, 2, 3].map(() => spawnFake(behaviour)));
  const fleet = await serveUpstreams(
    fakes.map(({ url }) => url),
    { upstream: { probe: { intervalMs: 200 } } },
  );
  let over = false;
  const ends = { whole: 0, broken: 0, other: [] as string[] };
  const clients = Array.from({ length: 12 }, async () => {
    while (!over) {
      const { status, text } = await fleet.ask();
      const begun = status === 200 && text.includes('word');
      if (begun && text.trimEnd().endsWith('[DONE]') && !text.includes('"error"')) ends.whole += 1;
      else if (begun && text.includes('"upstream_error"') && !text.includes('[DONE]')) ends.broken += 1;
      else ends.other.push(`${status} ${text.slice(0, 200)}`);
    }
  });
  for (const [i, { child, port }] of fakes.entries()) {
    await eventually('it is in use', () => fleet.backend('abc'[i]!).inFlight > 0);
    child.kill('SIGKILL');
    const before = ends.whole;
    await eventually('the others serve', () => ends.whole > before + 20);
    await spawnFake(behaviour, ['--port', String(port)]);
    await eventually('it serves again', () => fleet.backend('abc'[i]!).inFlight > 0, 15_000);
  }
  over = true;
  await Promise.all(clients);
  expect(ends.other).toEqual([]);
  // Only what was under way in the ones that were killed.
  expect(ends.broken).toBeLessThanOrEqual(3 * 12);
  expect(ends.whole).toBeGreaterThan(100);
  await fleet.idle();
});
