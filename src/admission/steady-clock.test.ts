import { describe, expect, it } from 'vitest';
import { SteadyClock } from './steady-clock.ts';

const HOUR = 3_600_000;
const EVENING = Date.UTC(2026, 1, 28, 23, 30);

function clockAt(systemMs: number) {
  const time = { monotonicMs: 0, systemMs };
  const clock = new SteadyClock({ monotonic: () => time.monotonicMs, system: () => time.systemMs });
  /** Looked at every second, as under load. */
  const pass = (ms: number) => {
    for (let passedMs = 0; passedMs < ms; passedMs += 1_000) {
      time.monotonicMs += 1_000;
      time.systemMs += 1_000;
      clock.wallMs();
    }
  };
  return { clock, time, pass };
}

describe('a clock that does not jump', () => {
  it('begins no day because the system was set an hour forward', () => {
    const { clock, time, pass } = clockAt(EVENING);
    const { day } = clock.periods();
    time.systemMs += HOUR;
    pass(60_000);
    expect(clock.periods().day).toBe(day);
    pass(HOUR / 2);
    expect(clock.periods().day).toBe(day + 1);
  });

  it('does not repeat a day or a month because the system was set an hour back', () => {
    const { clock, time, pass } = clockAt(EVENING);
    const before = clock.periods();
    pass(HOUR);
    expect(clock.periods()).toMatchObject({ day: before.day + 1, month: before.month + 1 });
    time.systemMs -= HOUR;
    pass(60_000);
    expect(clock.periods()).toMatchObject({ day: before.day + 1, month: before.month + 1 });
  });

  it('does not repeat a day because it was less than one ahead, and does not stay in one that it was wrong about', () => {
    const { clock, time } = clockAt(EVENING);
    const before = clock.periods();
    const jump = (ms: number) => {
      time.monotonicMs += 1_000;
      time.systemMs += ms;
      return clock.periods();
    };
    const next = jump(24 * HOUR);
    expect(next.day).toBe(before.day + 1);
    expect(jump(-24 * HOUR)).toMatchObject({ day: next.day, month: next.month, dayLeftMs: 24.5 * HOUR });
    expect(jump(1_000 * 24 * HOUR).day).toBe(before.day + 1_000);
    const back = jump(-1_000 * 24 * HOUR);
    expect(back).toMatchObject({ day: before.day, month: before.month, dayLeftMs: HOUR / 2 });
  });

  it('never goes back, however the system is set', () => {
    const { clock, time } = clockAt(EVENING);
    let lastMs = clock.wallMs();
    for (let i = 0; i < 1_000; i++) {
      time.monotonicMs += 10;
      time.systemMs += 10 + (i % 2 === 0 ? HOUR : -HOUR);
      const nowMs = clock.wallMs();
      expect(nowMs).toBeGreaterThan(lastMs);
      lastMs = nowMs;
    }
  });

  it('comes to what the system says, in the end', () => {
    for (const jumpMs of [HOUR, -HOUR]) {
      const { clock, time, pass } = clockAt(EVENING);
      time.systemMs += jumpMs;
      pass(19 * HOUR);
      expect(clock.wallMs()).not.toBe(time.systemMs);
      pass(2 * HOUR);
      expect(clock.wallMs()).toBe(time.systemMs);
    }
  });

  it('follows at once where the machine has slept for a night', () => {
    const { clock, time } = clockAt(EVENING);
    const { day } = clock.periods();
    time.monotonicMs += 1;
    time.systemMs += 8 * HOUR;
    expect(clock.wallMs()).toBe(time.systemMs);
    expect(clock.periods().day).toBe(day + 1);
  });
});
