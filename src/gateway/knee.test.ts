import { beforeEach, describe, expect, it } from 'vitest';
import { Knee } from './knee.ts';

const PREDICTED_MS = 100;
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
): void {
  nowMs += 50;
  const waitsMs = Math.max(0, among - places) * (1_000 / places);
  const tookMs = PREDICTED_MS * (1 + jitter) + waitsMs;
  const fared = { startedAtMs: nowMs, among, tookMs, predictedMs: PREDICTED_MS };
  const undisturbed = light && unanswered === 0;
  knee.observe({ ...fared, light, company, unanswered, undisturbed, stream: true }, MOST);
}

/** As many are inside as may be; one of ten is of a tenant that has little. */
function fill(times: number, places: number, jitter = () => 0): void {
  for (let i = 0; i < times; i += 1) {
    const light = i % 10 === 0;
    ask(Math.floor(knee.at) + (light ? 1 : 0), places, light, jitter());
  }
}

describe('Knee', () => {
  it.each([6, 16, 64])('is found where a backend has %i places', (places) => {
    for (let i = 0; i < 40; i += 1) ask(1, places, true);
    fill(3_000, places);
    expect(knee.at).toBeGreaterThan(places * 0.6);
    expect(knee.at).toBeLessThanOrEqual(places);
  });

  it('is not moved by what is usual among few, too', () => {
    let i = 0;
    const jitter = () => ((i++ * 7) % 10) / 10;
    for (let n = 0; n < 200; n += 1) ask(1, 64, true, jitter());
    fill(4_000, 64, jitter);
    expect(knee.at).toBeGreaterThan(40);
  });

  it('grows before anybody was late only as far as it was tried', () => {
    for (let i = 0; i < 200; i += 1) ask(4, 64, false);
    expect(knee.at).toBeLessThan(20);
  });

  it('is passed by a tenth of what there is, at most, by those that are let in before anybody was late', () => {
    for (let i = 0; i < 40; i += 1) ask(1, 64, true);
    let most = 0;
    for (let i = 0; i < 600; i += 1) {
      most = Math.max(most, knee.at);
      ask(Math.floor(knee.at), 64, false);
    }
    expect(most).toBeGreaterThan(60);
    expect(most).toBeLessThan(64 * 1.1 * 1.1);
  });

  it('gives up at most half of what was calm', () => {
    fill(2_000, 64);
    const before = knee.calmAmong;
    for (let i = 0; i < 500; i += 1) {
      nowMs += 1;
      const among = Math.floor(knee.at);
      knee.observe(
        {
          startedAtMs: nowMs,
          among,
          tookMs: 1_000,
          predictedMs: PREDICTED_MS,
          light: true,
          company: 'much',
          unanswered: 0,
          undisturbed: true,
          stream: true,
        },
        MOST,
      );
    }
    expect(knee.at).toBeGreaterThan(before * 0.45);
  });

  it('finds its way back after a moment of trouble', () => {
    fill(3_000, 64);
    const before = knee.at;
    for (let i = 0; i < 6; i += 1) ask(Math.floor(knee.at), 4, true);
    expect(knee.at).toBeLessThan(before * 0.8);
    fill(6_000, 64);
    expect(knee.at).toBeGreaterThan(before * 0.8);
  });

  it.each([6, 16, 64])('is found where nobody saw a backend with %i places among few', (places) => {
    fill(6_000, places);
    expect(knee.at).toBeGreaterThan(places * 0.5);
    expect(knee.at).toBeLessThanOrEqual(places);
  });

  it('takes nothing for late against a guess, once it is known what is usual', () => {
    let i = 0;
    const jitter = () => ((i++ * 7) % 10) / 10;
    fill(200, 64, jitter);
    expect(knee.at).toBeLessThan(8);
    for (let n = 0; n < 8; n += 1) ask(4, 64, true, jitter(), 'little');
    fill(4_000, 64, jitter);
    expect(knee.at).toBeGreaterThan(40);
  });

  it('is not cut for what those have felt that were among such as have little', () => {
    for (let n = 0; n < 100; n += 1) ask(12, 8, true, 0, 'some');
    expect(knee.at).toBe(4);
  });

  it('learns what is usual from nobody who came while prompts of a loud one had no answer', () => {
    for (let n = 0; n < 40; n += 1) ask(1, 64, true, 1, 'little', 1);
    expect(knee.lateMs(PREDICTED_MS)).toBeLessThan(PREDICTED_MS * 1.2);
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
});
