import { expect, it } from 'vitest';
import { LoneStart } from './lone-start.ts';

it('lets one more of a tenant in with each that did not wait', () => {
  const start = new LoneStart();
  const first = start.at;
  const fared = { startedAtMs: 0, among: first, predictedMs: 100 };
  start.observe({ ...fared, tookMs: 300 });
  expect(start.at).toBe(first);
  for (let i = 0; i < first; i += 1) start.observe({ ...fared, tookMs: 100 });
  expect(start.at).toBe(2 * first);
});

it('holds nobody back where nobody can say how requests should fare', () => {
  const start = new LoneStart();
  const first = start.at;
  for (let i = 0; i < 10; i += 1) start.unjudged();
  expect(start.at).toBe(first + 10);
});
