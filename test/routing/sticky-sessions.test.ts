import { expect, it } from 'vitest';
import { startFakeUpstream } from '../fakes/openai-upstream.ts';
import { isWhole, serveFleet } from '../resilience/fleet.ts';

it.each([true, false])(
  'a session outlives its server: it moves without an error, and stays where it went (stream: %s)',
  async (stream) => {
    const fleet = await serveFleet([{}, {}, {}], { model: { policy: 'session-affinity' } });
    const serving = async (session: string) => {
      const before = fleet.fakes.map(({ requests }) => requests.length);
      const reply = await fleet.ask({ stream, headers: { 'x-qianmen-session': session } });
      expect(stream ? isWhole(reply) : reply.status === 200).toBe(true);
      return fleet.fakes.findIndex(({ requests }, i) => requests.length > before[i]!);
    };
    const sessions = Array.from({ length: 12 }, (_, i) => `session-${i}`);
    const serveAll = async () => {
      const homes = [];
      for (const session of sessions) homes.push(await serving(session));
      return homes;
    };
    const homes = await serveAll();
    expect(await serveAll()).toEqual(homes);

    const lost = homes[0]!;
    const { port } = fleet.fakes[lost]!;
    await fleet.fakes[lost]!.close();
    const moved = await serveAll();
    expect(moved).not.toContain(lost);
    moved.forEach((home, i) => {
      if (homes[i] !== lost) expect(home).toBe(homes[i]);
    });
    expect(await serveAll()).toEqual(moved);

    const back = await startFakeUpstream({ port });
    try {
      expect(await serveAll()).toEqual(moved);
      expect(back.requests).toEqual([]);
    } finally {
      await back.close();
    }
  },
);
