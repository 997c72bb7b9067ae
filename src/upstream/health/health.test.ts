import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { GatewayEvent } from '../../core/event.ts';
import { type CallOutcome, Health } from './health.ts';

let nowMs: number;
let events: string[];
let health: Health;
let random: number;

beforeEach(() => {
  nowMs = 1_000;
  random = 0.5;
  events = [];
  health = new Health({
    upstream: 'a',
    now: () => nowMs,
    random: () => random,
    emit: (event: GatewayEvent) => {
      if (event.type === 'upstream-health-changed') events.push(`${event.healthy}: ${event.detail}`);
    },
  });
});

function call(...outcomes: CallOutcome[]): void {
  for (const outcome of outcomes) health.begin().end(outcome, 'boom');
}

const FIVE = Array.from({ length: 5 }, (): CallOutcome => 'failed');

describe('Health', () => {
  it('goes down after five failures in a row and tells when to come back', () => {
    call(...FIVE.slice(1), 'ok', ...FIVE.slice(1));
    expect(health.snapshot().state).toBe('ready');
    call('failed');
    expect(health.snapshot()).toEqual({
      state: 'down',
      breaker: 'open',
      detail: 'boom',
      retryAfterMs: 5_000,
    });
    expect(events).toEqual(['false: boom']);
  });

  it('goes down by 503s unless it answers others meanwhile', () => {
    const FIVE_TIMES = FIVE.map((): CallOutcome => 'unavailable');
    const one = health.begin();
    one.answered();
    nowMs += 10_000;
    call(...FIVE_TIMES, ...FIVE_TIMES);
    expect(health.snapshot().state).toBe('ready');
    one.end('ok');
    call(...FIVE_TIMES);
    expect(health.snapshot().state).toBe('down');
  });

  it('is closed once, whichever of several trials is answered first', () => {
    call(...FIVE);
    nowMs += 5_000;
    const first = health.begin();
    nowMs += 1_000;
    const second = health.begin();
    first.answered();
    first.end('ok');
    second.answered();
    call('failed');
    expect(health.snapshot().state).toBe('ready');
    expect(events).toEqual(['false: boom', 'true: a request was answered']);
  });

  it('is not moved by 4xx answers and clients that leave', () => {
    call(...FIVE.slice(1), ...Array.from({ length: 50 }, (): CallOutcome => 'neutral'));
    expect(health.snapshot().state).toBe('ready');
    call('failed');
    expect(health.snapshot().state).toBe('down');
  });

  it('lets one trial through after the cool-down, and closes when it is answered', () => {
    call(...FIVE);
    nowMs += 5_000;
    expect(health.snapshot().state).toBe('ready');
    const trial = health.begin();
    expect(health.snapshot()).toMatchObject({ state: 'down', retryAfterMs: 1_000 });
    trial.answered();
    expect(health.snapshot()).toEqual({ state: 'ready', breaker: 'closed' });
    trial.end('ok');
    expect(events).toEqual(['false: boom', 'true: a request was answered']);
    call(...FIVE.slice(1));
    expect(health.snapshot().state).toBe('ready');
  });

  it('opens again, for longer, when the trial fails; a trial that is cancelled frees its place', () => {
    call(...FIVE);
    nowMs += 5_000;
    call('neutral');
    expect(health.snapshot().state).toBe('ready');
    call('failed');
    expect(health.snapshot()).toMatchObject({ state: 'down', retryAfterMs: 10_000 });
    for (let i = 0; i < 6; i += 1) {
      nowMs += 60_000;
      call('failed');
    }
    expect(health.snapshot()).toMatchObject({ state: 'down', retryAfterMs: 60_000 });
    expect(events).toHaveLength(1);
  });

  it('goes down again at once when it dies after answering the trial', () => {
    call(...FIVE);
    nowMs += 5_000;
    const trial = health.begin();
    trial.answered();
    trial.end('failed', 'died');
    expect(health.snapshot()).toMatchObject({ state: 'down', detail: 'died' });
  });

  it('takes no notice of requests from before it went down', () => {
    const old = health.begin();
    call(...FIVE);
    old.end('ok');
    expect(health.snapshot().state).toBe('down');
  });

  it('comes back at once on a probe when it was unreachable', () => {
    call('unreachable', 'unreachable', 'unreachable', 'unreachable', 'unreachable');
    health.probeSucceeded(undefined);
    expect(health.snapshot()).toEqual({ state: 'ready', breaker: 'closed' });
  });

  it('comes back on a probe after the cool-down when probes had failed', () => {
    health.probeFailed({ detail: 'HTTP 500', mayBeBusy: true });
    health.probeSucceeded(undefined);
    expect(health.snapshot().breaker).toBe('open');
    nowMs += 5_000;
    health.probeSucceeded(undefined);
    expect(health.snapshot().breaker).toBe('closed');
  });

  it('lets in no more than trials while only probes are answered: requests may hang', () => {
    call(...FIVE);
    nowMs += 5_000;
    health.probeSucceeded(undefined);
    expect(health.snapshot()).toMatchObject({ state: 'ready', breaker: 'half-open' });
    const trial = health.begin();
    health.probeSucceeded(undefined);
    expect(health.snapshot()).toMatchObject({ state: 'down', breaker: 'half-open' });
    trial.end('late', 'waited');
    expect(health.snapshot()).toMatchObject({ state: 'down', breaker: 'open' });
  });

  it('goes down on the first failed probe of all, later on the second', () => {
    health.probeFailed({ detail: 'refused', mayBeBusy: false });
    expect(health.snapshot()).toMatchObject({ state: 'down', detail: 'refused' });
    health.probeSucceeded(undefined);
    health.probeFailed({ detail: 'refused', mayBeBusy: false });
    expect(health.snapshot().state).toBe('ready');
    health.probeFailed({ detail: 'refused', mayBeBusy: false });
    expect(health.snapshot().state).toBe('down');
  });

  it('stays down as long as probes cannot reach it, and comes back with the first that is answered', () => {
    health.probeFailed({ detail: 'connect ECONNREFUSED', mayBeBusy: false });
    for (let s = 0; s < 100; s++) {
      expect(health.snapshot()).toMatchObject({
        state: 'down',
        breaker: 'open',
        detail: 'connect ECONNREFUSED',
      });
      nowMs += 1_000;
      health.probeFailed({ detail: 'connect ECONNREFUSED', mayBeBusy: false });
    }
    health.probeSucceeded(undefined);
    expect(health.snapshot().breaker).toBe('closed');
  });

  it('does not eject a busy upstream because it answers no probe', () => {
    health.probeSucceeded(undefined);
    const running = health.begin();
    for (let i = 0; i < 5; i += 1) health.probeFailed({ detail: 'slow', mayBeBusy: true });
    running.end('ok');
    for (let i = 0; i < 5; i += 1) health.probeFailed({ detail: 'slow', mayBeBusy: true });
    expect(health.snapshot().state).toBe('ready');
    nowMs += 60_000;
    health.probeFailed({ detail: 'slow', mayBeBusy: true });
    health.probeFailed({ detail: 'slow', mayBeBusy: true });
    expect(health.snapshot().state).toBe('down');
  });

  it('tells operators that the key is refused, but stays up', () => {
    health.probeSucceeded('refuses the API key');
    expect(health.snapshot()).toMatchObject({ state: 'ready', detail: 'refuses the API key' });
    health.probeSucceeded(undefined);
    expect(health.snapshot()).toEqual({ state: 'ready', breaker: 'closed' });
  });

  it('goes down when half of twenty requests in 30 s fail, however they alternate', () => {
    for (let i = 0; i < 10; i += 1) call('ok', 'failed');
    expect(health.snapshot()).toMatchObject({ state: 'down', breaker: 'open' });
    nowMs += 60_000;
    call('ok');
    for (let i = 0; i < 9; i += 1) call('ok', 'failed');
    expect(health.snapshot().state).toBe('ready');
    nowMs += 31_000;
    for (let i = 0; i < 9; i += 1) call('failed', 'ok');
    expect(health.snapshot().state).toBe('ready');
  });

  it('stays up when fewer than half fail', () => {
    for (let i = 0; i < 40; i += 1) call('ok', 'ok', 'failed');
    expect(health.snapshot().state).toBe('ready');
  });

  it('spreads the times at which it comes back', () => {
    random = 0;
    call(...FIVE);
    expect(health.snapshot().retryAfterMs).toBe(4_000);
    nowMs += 4_000;
    random = 0.999;
    call('failed');
    expect(health.snapshot().retryAfterMs).toBeGreaterThan(11_900);
  });

  it('is not dead because long prompts wait in vain while others are answered', () => {
    for (let i = 0; i < 20; i += 1) {
      const long = health.begin();
      nowMs += 60_000;
      health.begin().answered();
      long.end('late', 'waited');
    }
    expect(health.snapshot().state).toBe('ready');
  });

  it('is dead when everybody waits in vain, and when begun replies fall silent', () => {
    for (let i = 0; i < 5; i += 1) {
      const one = health.begin();
      nowMs += 1_000;
      one.end('late', 'waited');
    }
    expect(health.snapshot().state).toBe('down');
    nowMs += 60_000;
    health.begin().end('ok');
    for (let i = 0; i < 5; i += 1) {
      const one = health.begin();
      nowMs += 1_000;
      one.answered();
      nowMs += 1_000;
      one.end('late', 'silent');
    }
    expect(health.snapshot().state).toBe('down');
  });

  it('lets a second and a third trial through when the first takes long, and no fourth', () => {
    call(...FIVE);
    nowMs += 5_000;
    const trials = [health.begin()];
    for (let i = 0; i < 2; i += 1) {
      expect(health.snapshot()).toMatchObject({ state: 'down', breaker: 'half-open' });
      nowMs += 1_000;
      expect(health.snapshot()).toMatchObject({ state: 'ready', breaker: 'half-open' });
      trials.push(health.begin());
    }
    nowMs += 60_000;
    expect(health.snapshot().state).toBe('down');
    trials[2]?.answered();
    expect(health.snapshot().breaker).toBe('closed');
  });

  it('can always close again, whatever happened before', () => {
    const outcomes = fc.constantFrom<CallOutcome>(
      'ok',
      'failed',
      'unreachable',
      'unavailable',
      'late',
      'neutral',
    );
    const step = fc.record({ outcome: outcomes, afterMs: fc.nat(20_000), overlaps: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const running: { end: () => void }[] = [];
        for (const { outcome, afterMs, overlaps } of steps) {
          const one = health.begin();
          nowMs += afterMs;
          running.push({ end: () => one.end(outcome, 'boom') });
          if (!overlaps) for (const { end } of running.splice(0)) end();
        }
        for (const { end } of running) end();
        nowMs += 60_000;
        expect(health.snapshot().state).toBe('ready');
        const last = health.begin();
        last.answered();
        last.end('ok');
        expect(health.snapshot()).toMatchObject({ state: 'ready', breaker: 'closed' });
      }),
    );
  });

  it('counts an end once', () => {
    const one = health.begin();
    for (let i = 0; i < 9; i += 1) one.end('failed', 'boom');
    expect(health.snapshot().state).toBe('ready');
  });
});
