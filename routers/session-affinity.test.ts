import { expect, it } from 'vitest';
import type { Policy } from './policy.ts';
import { UNKNOWN_REQUEST } from './request.ts';
import { RoutingKnowledge } from './routing-knowledge.ts';
import { sessionAffinity } from './session-affinity.ts';

const IDS = ['a', 'b', 'c', 'd', 'e'];
const knowledge = new RoutingKnowledge();

function serve(policy: Policy, sessionKey: string, down: readonly string[] = [], ids = IDS): string {
  const request = { ...UNKNOWN_REQUEST, sessionKey };
  const candidates = ids.map((id) => ({ id, ready: !down.includes(id), inFlight: 0 }));
  const [first] = policy.rank({ request, candidates, nowMs: 0, random: () => 0.5 });
  knowledge.dispatch(first!.candidate.id, request, 0, policy).finished(1, {});
  return first!.candidate.id;
}

const sessions = Array.from({ length: 500 }, (_, i) => `session-${i}`);

it('keeps a session where it is, and spreads sessions', () => {
  const policy = sessionAffinity();
  const homes = sessions.map((one) => serve(policy, one));
  expect(sessions.map((one) => serve(policy, one))).toEqual(homes);
  for (const id of IDS) expect(homes.filter((home) => home === id).length).toBeGreaterThan(50);
});

it('agrees with a gateway that knows nothing of the sessions', () => {
  const policy = sessionAffinity();
  const homes = sessions.map((one) => serve(policy, one));
  const other = sessionAffinity();
  expect(sessions.map((one) => serve(other, one))).toEqual(homes);
});

it('moves only the sessions of a lost deployment, and lets them stay where they went', () => {
  const policy = sessionAffinity();
  const before = sessions.map((one) => serve(policy, one));
  const during = sessions.map((one) => serve(policy, one, ['a']));
  const after = sessions.map((one) => serve(policy, one));
  sessions.forEach((_, i) => {
    if (before[i] !== 'a') expect(during[i]).toBe(before[i]);
  });
  expect(during).not.toContain('a');
  expect(after).toEqual(during);
});

it('leaves sessions in peace when a deployment is added', () => {
  const policy = sessionAffinity();
  const before = sessions.map((one) => serve(policy, one));
  expect(sessions.map((one) => serve(policy, one, [], [...IDS, 'f']))).toEqual(before);
});
