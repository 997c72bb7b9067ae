import { expect, it } from 'vitest';
import { eventually } from '../support/gateway-process.ts';
import { sendWithClients, shareAmong } from './tenants.ts';

it('whoever leaves before the first token has had its turn, and pays for its prompts', async () => {
  const shared = await shareAmong(
    [{}, {}],
    { ttftMs: 300, itlMs: 10, tokens: 4 },
    { upstream: { concurrency: { initial: 2, max: 2 } } },
  );
  const [leaver, patient] = shared.projectIds as readonly [string, string];
  const untilMs = performance.now() + 6_000;
  // Some leave the line, most the server, whose first token takes longer than any of them waits there.
  const leaving = Array.from({ length: 12 }, async () => {
    while (performance.now() < untilMs)
      await shared
        .ask(0, { signal: AbortSignal.timeout(Math.round(100 + Math.random() * 500)) })
        .catch(() => {});
  });
  // So many that some of them are in line at any moment, also where this process comes to send late.
  const answers = await sendWithClients(shared, 1, 6, 6_000);
  await Promise.all(leaving);
  const whole = answers.filter((answer) => answer.whole).length;
  await eventually('all are in the ledger', async () => (await shared.model()).active === 0);
  const usage = async () => Object.groupBy(await shared.usage(), ({ project }) => project);
  const served = answers.filter(({ status }) => status === 200).length;
  await eventually('of both', async () => (await usage())[patient]?.[0]?.requests === served);
  const [left] = (await usage())[leaver]!;
  expect(left!.promptTokens).toBeGreaterThan(0);
  // By their prompts alone the one who leaves gets somewhat more turns; without paying, four of five.
  console.info(`${whole} of the patient one, ${left!.attempts} turns of the one that leaves`);
  expect(whole / (whole + left!.attempts)).toBeGreaterThan(0.33);
}, 30_000);
