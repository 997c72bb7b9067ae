import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, it, onTestFinished } from 'vitest';
import { RawConnection } from '../conformance/raw-connection.ts';
import { eventually, serveFleet } from '../resilience/fleet.ts';
import { chatBody } from '../support/gateway-process.ts';

const SOAK_MS = 5_000;
/** A busy machine takes longer for them. */
const LEAST_ANSWERS = 500;
const CHAT = '/v1/chat/completions';

interface Asked {
  readonly bytes: string;
  readonly expects: (reply: Awaited<ReturnType<RawConnection['reply']>>) => boolean;
}

function framed(id: string, body: string, chunked: boolean): string {
  const head = `POST ${CHAT} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\nx-request-id: ${id}\r\n`;
  if (!chunked) return `${head}content-length: ${body.length}\r\n\r\n${body}`;
  const half = Math.floor(body.length / 2);
  const chunks = [body.slice(0, half), body.slice(half)].map(
    (part) => `${part.length.toString(16)}\r\n${part}\r\n`,
  );
  return `${head}transfer-encoding: chunked\r\n\r\n${chunks.join('')}0\r\n\r\n`;
}

/** A request of some kind, and what its own answer looks like. */
function request(id: string, kind: number): Asked {
  const own = (status: number, text: string) => (reply: Parameters<Asked['expects']>[0]) =>
    reply.status === status && reply.headers['x-request-id'] === id && reply.body.includes(text);
  const long = { user: 'x'.repeat(kind * 1_000) };
  switch (kind % 8) {
    case 0:
      return {
        bytes: `GET /v1/models HTTP/1.1\r\nhost: a\r\nx-request-id: ${id}\r\n\r\n`,
        expects: own(200, '"list"'),
      };
    case 1:
      return {
        bytes: framed(id, chatBody('m', { ...long, stream: true }), false),
        expects: own(200, '[DONE]'),
      };
    case 2:
      return { bytes: framed(id, '{', false), expects: own(400, 'JSON') };
    case 3:
      return { bytes: framed(id, chatBody('m', long), true), expects: own(200, `chatcmpl-${id}`) };
    case 4:
      return { bytes: framed(id, chatBody('nobody', long), false), expects: own(404, 'nobody') };
    default:
      return { bytes: framed(id, chatBody('m', long), false), expects: own(200, `chatcmpl-${id}`) };
  }
}

it('every request of many odd clients gets exactly its own answer', async () => {
  const { url, idle } = await serveFleet([{ tokens: 3 }, { tokens: 20, itlMs: 1 }, { ttftMs: 10 }]);
  const seed = Math.floor(Math.random() * 2 ** 31);
  const plan = fc.record({
    kinds: fc.array(fc.nat(40), { minLength: 1, maxLength: 12 }),
    cuts: fc.array(fc.nat(), { maxLength: 4 }),
    ends: fc.constantFrom('stay', 'stay', 'stay', 'reset', 'garbage', 'half', 'slow'),
  });
  const untilMs = performance.now() + SOAK_MS;
  let answered = 0;
  const wrong: string[] = [];

  async function client(lane: number): Promise<void> {
    const plans = fc.sample(plan, { seed: seed + lane, numRuns: 2_500 });
    let connection: RawConnection | undefined;
    for (const [i, { kinds, cuts, ends }] of plans.entries()) {
      if (performance.now() > untilMs && answered > LEAST_ANSWERS) break;
      connection ??= await RawConnection.open(url);
      const asked = kinds.map((kind, k) => request(`s${lane}-${i}-${k}`, kind));
      const text = asked.map(({ bytes }) => bytes).join('');
      const at = [...cuts.map((cut) => cut % text.length).sort((a, b) => a - b), text.length];
      for (const [c, end] of at.entries()) {
        if (end > (at[c - 1] ?? 0)) connection.send(text.slice(at[c - 1] ?? 0, end));
        if (c % 2 === 0) await sleep(1);
      }
      if (ends === 'slow') {
        connection.socket.pause();
        await sleep(20);
        connection.socket.resume();
      }
      if (ends !== 'reset')
        for (const { bytes, expects } of asked) {
          const reply = await connection.reply();
          answered += 1;
          if (!expects(reply)) wrong.push(`seed ${seed}: ${bytes.slice(0, 200)} → ${JSON.stringify(reply)}`);
        }
      if (ends === 'stay' || ends === 'slow') continue;
      if (ends === 'garbage') connection.send('POST  / HTTP/1.1\r\nx\r\n\r\n');
      if (ends === 'half') connection.socket.end();
      if (ends === 'reset') connection.socket.resetAndDestroy();
      else await eventually('it is closed', () => connection!.socket.closed);
      connection = undefined;
    }
    connection?.close();
  }

  onTestFinished(() => {
    if (wrong.length > 0) throw new Error(wrong[0]);
  });
  await Promise.all(Array.from({ length: 12 }, (_, lane) => client(lane)));
  expect(wrong).toEqual([]);
  expect(answered).toBeGreaterThan(LEAST_ANSWERS);
  await idle();
}, 60_000);
