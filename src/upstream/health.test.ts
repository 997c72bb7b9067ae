import { beforeEach, describe, expect, it } from 'vitest';
import type { GatewayEvent } from '../core/event.ts';
import { type CallOutcome, Health } from './health.ts';

let nowMs: number;
let events: string[];
let health: Health;

beforeEach(() => {
  nowMs = 1_000;
  events = [];
  health = new Health({
    upstream: 'a',
    now: () => nowMs,
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
    expect(health.snapshot()).toEqual({ state: 'down', detail: 'boom', retryAfterMs: 5_000 });
    expect(events).toEqual(['false: boom']);
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
    expect(health.snapshot()).toEqual({ state: 'ready' });
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

  it('comes back at once on a probe when it was unreachable, else after the cool-down', () => {
    call('unreachable', 'unreachable', 'unreachable', 'unreachable', 'unreachable');
    health.probeSucceeded(undefined);
    expect(health.snapshot()).toEqual({ state: 'ready' });
    call('failed');
    expect(health.snapshot().state).toBe('down');
    health.probeSucceeded(undefined);
    expect(health.snapshot().state).toBe('down');
    nowMs += 10_000;
    health.probeSucceeded(undefined);
    expect(health.snapshot().state).toBe('ready');
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
    expect(health.snapshot()).toEqual({ state: 'ready', detail: 'refuses the API key' });
    health.probeSucceeded(undefined);
    expect(health.snapshot()).toEqual({ state: 'ready' });
  });

  it('counts an end once', () => {
    const one = health.begin();
    for (let i = 0; i < 9; i += 1) one.end('failed', 'boom');
    expect(health.snapshot().state).toBe('ready');
  });
});
