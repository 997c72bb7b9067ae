import { expect, it } from 'vitest';
import type { Decision } from '../../core/decision.ts';
import { routeLine } from './route-header.ts';

it('names deployments in ASCII, whatever they are called', () => {
  const candidate = { id: 'up/通义 \ud800\r\n' };
  const decision = { choices: [{ policy: 'balanced', ranked: [{ candidate, score: 0.1234567 }] }] };
  expect(routeLine(decision as unknown as Decision)).toBe(
    'x-qianmen-route: up/%E9%80%9A%E4%B9%89 %EF%BF%BD%0D%0A; policy=balanced; score=0.1235; candidates=1; attempt=1\r\n',
  );
});
