import { once } from 'node:events';
import { expect, it } from 'vitest';
import { type FakeProcess, spawnFake } from '../upstream/harness.ts';
import { type Answer, eventually, isWhole, serveUpstreams } from './fleet.ts';

const BEHAVIOUR = { ttftMs: 20, itlMs: 5, tokens: 10 };

it('a fleet whose processes are restarted one by one under load fails no request', async () => {
  const fleet: FakeProcess[] = await Promise.all([1, 2, 3].map(() => spawnFake(BEHAVIOUR, ['--graceful'])));
  const served = await serveUpstreams(
    fleet.map(({ url }) => url),
    { upstream: { probe: { intervalMs: 200 } } },
  );
  const answers: Answer[] = [];
  let over = false;
  const clients = Array.from({ length: 12 }, async (_, i) => {
    while (!over) answers.push(await served.ask({ stream: i % 2 === 0 }));
  });
  for (const [i, { child, port }] of fleet.entries()) {
    const before = answers.length;
    child.kill('SIGTERM');
    await once(child, 'exit');
    // Some requests while it is away.
    await eventually('the others serve', () => answers.length > before + 30);
    fleet[i] = await spawnFake(BEHAVIOUR, ['--graceful', '--port', String(port)]);
    const name = 'abc'[i]!;
    await eventually('it serves again', () => served.backend(name).inFlight > 0, 10_000);
  }
  over = true;
  await Promise.all(clients);
  const failed = answers.filter((a) => (a.text.startsWith('data:') ? !isWhole(a) : a.status !== 200));
  expect(failed).toEqual([]);
  expect(answers.length).toBeGreaterThan(90);
  await served.idle();
});
