import { beforeEach, describe, expect, it } from 'vitest';
import { Knee } from './knee.ts';

const PREDICTED_MS = 100;
const STAY_MS = 1_000;
const MOST = 512;

let nowMs: number;
let knee: Knee;

beforeEach(() => {
  nowMs = 0;
  knee = new Knee(() => nowMs);
});

/** A request among so many at a backend with so many places, of which each is free again after a second. */
function ask(
  among: number,
  places: number,
  light: boolean,
  jitter = 0,
  company: 'little' | 'some' | 'much' = 'much',
  unanswered = 0,
  afterMs = 50,
): void {
  nowMs += afterMs;
  const waitsMs = Math.max(0, among - places) * (STAY_MS / places);
  const tookMs = PREDICTED_MS * (1 + jitter) + waitsMs;
  const fared = { startedAtMs: nowMs, among, tookMs, predictedMs: PREDICTED_MS, stayMs: STAY_MS };
  const undisturbed = light && unanswered === 0;
  knee.observe({ ...fared, light, company, unanswered, undisturbed, stream: true }, MOST);
}

/** As many are inside as may be; one of ten is of a tenant that has little. */
function fill(times: number, places: number, jitter = () => 0): void {
  for (let i = 0; i < times; i += 1) {
    const light = i % 10 === 0;
    ask(knee.at + (light ? 1 : 0), places, light, jitter());
  }
}

/** A few milliseconds of noise, and some that take longer than others. */
function uneven(): () => number {
  let i = 0;
  return () => ((i++ * 7) % 10) / 10;
}

describe('Knee', () => {
  it.each([1, 2, 4, 6, 16, 64])('is found where a backend has %i places', (places) => {
    for (let i = 0; i < 40; i += 1) ask(1, places, true);
    fill(1_000, places);
    expect(knee.at).toBe(places);
    expect(knee.most).toBe(places);
  });

  it.each([4, 16])('is found where nobody saw a backend with %i places among few', (places) => {
    fill(1_000, places);
    expect(knee.at).toBe(places);
  });

  it('is found at once where far more are inside than there are places', () => {
    for (let i = 0; i < 40; i += 1) ask(1, 64, true);
    fill(400, 64);
    nowMs += 15_000;
    for (let i = 0; i < 3; i += 1) ask(64, 8, false);
    expect(knee.at).toBeLessThan(20);
  });

  it('is not moved by what is usual among few, too', () => {
    const jitter = uneven();
    for (let n = 0; n < 200; n += 1) ask(1, 64, true, jitter());
    fill(1_000, 64, jitter);
    expect(knee.at).toBe(64);
  });

  it('is not cut for a late one, where others that have little were in time among more', () => {
    for (let i = 0; i < 40; i += 1) ask(1, 64, true);
    fill(400, 64);
    const before = knee.at;
    for (let i = 0; i < 8; i += 1) ask(before, 64, true);
    ask(3, 64, true, 1);
    expect(knee.at).toBe(before);
  });

  it('is not cut where those among few are late, too', () => {
    for (let i = 0; i < 40; i += 1) ask(1, 64, true);
    fill(400, 64);
    const before = knee.at;
    for (let i = 0; i < 60; i += 1) ask(1 + ((i * 5) % before), 64, true, i % 3 === 0 ? 1 : 0);
    expect(knee.at).toBeGreaterThan(before * 0.7);
  });

  it('grows before anybody was late only as far as it was tried', () => {
    for (let i = 0; i < 200; i += 1) ask(4, 64, false);
    expect(knee.at).toBeLessThan(8);
  });

  it('is passed by a tenth of what there is, at most, by those that are let in before anybody was late', () => {
    for (let i = 0; i < 40; i += 1) ask(1, 64, true);
    let most = 0;
    for (let i = 0; i < 600; i += 1) {
      most = Math.max(most, knee.at);
      ask(knee.at, 64, false);
    }
    expect(most).toBeGreaterThanOrEqual(64);
    expect(most).toBeLessThan(64 * 1.1);
  });

  it('is tried again after a while, and then by one', () => {
    for (let i = 0; i < 40; i += 1) ask(1, 64, true);
    fill(400, 64);
    nowMs += 15_000;
    fill(200, 16);
    expect(knee.at).toBe(16);
    nowMs += 240_000;
    expect(knee.most).toBe(Number.POSITIVE_INFINITY);
    fill(4, 64);
    expect(knee.at).toBeGreaterThan(16);
    fill(1_000, 64);
    expect(knee.at).toBe(64);
  });

  it('is not cut for what is late in one and the same moment, where so many are answered at all times', () => {
    for (let i = 0; i < 40; i += 1) ask(1, 64, true);
    for (let i = 0; i < 600; i += 1) ask(knee.at, 64, false);
    const before = knee.at;
    nowMs += 10_000;
    const answered = (tookMs: number) => ask(before, 64, false, tookMs / PREDICTED_MS - 1, 'much', 0, 0);
    for (let ms = 0; ms < 1_000; ms += 1) {
      nowMs += 1;
      for (let n = 0; n < 10; n += 1) answered(PREDICTED_MS);
    }
    for (let n = 0; n < 100; n += 1) answered(PREDICTED_MS * 1.2);
    expect(knee.at).toBeGreaterThanOrEqual(before);
  });

  it('begins again with few when it has to be careful, and keeps what was too many', () => {
    for (let i = 0; i < 40; i += 1) ask(1, 16, true);
    fill(400, 16);
    knee.restart();
    expect(knee.at).toBeLessThan(4);
    expect(knee.most).toBe(16);
    fill(100, 16);
    expect(knee.at).toBe(16);
  });

  it('is not cut for what those have felt that were among such as have little', () => {
    for (let n = 0; n < 100; n += 1) ask(12, 8, true, 0, 'some');
    expect(knee.at).toBe(2);
  });

  it('learns what is usual from nobody who came while prompts of a loud one had no answer', () => {
    for (let n = 0; n < 40; n += 1) ask(1, 64, true, 1, 'little', 1);
    expect(knee.lateMs(PREDICTED_MS)).toBeLessThan(PREDICTED_MS * 1.25);
  });

  it('has fewer prompts without an answer, where that is why others are late', () => {
    for (let i = 0; i < 40; i += 1) ask(1, 64, true);
    fill(400, 64);
    for (let n = 0; n < 40; n += 1) ask(8, 64, true, 0, 'much', n % 8);
    const before = { at: knee.at, unanswered: knee.unanswered.at };
    for (let n = 0; n < 40; n += 1) ask(8, 64, true, n % 4, 'much', n % 4);
    expect(before.unanswered).toBeGreaterThan(3);
    expect(knee.unanswered.at).toBeLessThan(1);
    expect(knee.at).toBeGreaterThanOrEqual(before.at);
  });

  it('has more of them again where a tenant has hardly any inside, as it may have none', () => {
    for (let i = 0; i < 40; i += 1) ask(1, 64, true);
    fill(400, 64);
    for (let n = 0; n < 40; n += 1) ask(8, 64, true, 3, 'much', 1);
    expect(knee.unanswered.at).toBeLessThan(1);
    for (let n = 0; n < 900; n += 1) ask(2, 64, true, 0, 'little', 1);
    expect(knee.unanswered.at).toBeGreaterThan(2);
  });

  it('is not what was found by requests that took no longer than turns out to be usual', () => {
    for (let n = 0; n < 8; n += 1) ask(1, 64, true);
    for (let n = 0; n < 20; n += 1) ask(2, 64, false, n % 2);
    expect(knee.most).toBe(1);
    const jitter = uneven();
    for (let n = 0; n < 20; n += 1) ask(1, 64, true, jitter());
    expect(knee.most).toBe(1);
    for (let n = 0; n < 4; n += 1) ask(1, 64, true, jitter());
    expect(knee.most).toBe(Number.POSITIVE_INFINITY);
  });

  it('is found where many had little each, whose tenants turn out to be heavy', () => {
    for (let i = 0; i < 100; i += 1) ask(24, 8, true, 0, 'little');
    const found = () => {
      fill(200, 8);
      return knee.at;
    };
    expect(found()).toBeGreaterThan(16);
    knee.mistook(0);
    expect(found()).toBeLessThanOrEqual(8);
  });
});
