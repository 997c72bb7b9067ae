import { beforeEach, describe, expect, it } from 'vitest';
import { seededRandom } from '../../simulation/random.ts';
import type { Tenant } from '../request/tenant.ts';
import { FairQueue } from './fair-queue.ts';
import { LineDoor } from './line-door.ts';
import { Unserved } from './unserved.ts';

const CAPACITY = 32;
/** One is served every 50 ms. */
const TURN_MS = 50;
const ANSWER_MS = 200;
const ONE = { prompt: 1, output: 0 };

let nowMs: number;
let queue: FairQueue<() => void>;
let door: LineDoor;
let free: number;
const signal = new AbortController().signal;

beforeEach(() => {
  nowMs = 0;
  free = 0;
  queue = new FairQueue({ capacity: CAPACITY, maxWaitMs: 10_000, foresees: true, now: () => nowMs });
  door = new LineDoor(queue, () => nowMs);
});

function tenant(projectId = 'a', priority = 0): Tenant {
  return { projectId, weight: 1, priority };
}

/** One place that is held by whoever was served last. */
let leave: () => void;

function claim(by: Tenant): (() => void) | undefined {
  if (free === 0) return undefined;
  free -= 1;
  const charge = queue.counters.charge(by, ONE);
  return () => queue.counters.settle(charge, ONE);
}

function refusal(by: Tenant, answerMs: number | undefined): Unserved | undefined {
  return door.refusal(by, CAPACITY, door.isTooLong(by, answerMs));
}

/** @returns Undefined: it stands in line, and what becomes of it is told later. */
function come(
  by: Tenant,
  told: (unserved: Unserved) => void = () => {},
  deadlineAtMs?: number,
): Unserved | undefined {
  const replacing = door.isTooLong(by, ANSWER_MS);
  const refused = door.refusal(by, CAPACITY, replacing);
  if (refused !== undefined) return refused;
  void queue
    .wait({ tenant: by, deadlineAtMs, replacing }, () => claim(by), signal)
    .then((result) => {
      if (result instanceof Unserved) told(result);
      else leave = result;
    });
  return undefined;
}

async function turn(): Promise<void> {
  nowMs += TURN_MS;
  leave();
  free = 1;
  queue.pump();
  await Promise.resolve();
  await Promise.resolve();
}

/** Somebody holds the place, and the line has moved, so that its pace is known. */
async function moving(by: Tenant): Promise<void> {
  free = 1;
  leave = claim(by)!;
  for (let i = 0; i < 10; i += 1) {
    while (queue.length < 3) come(by);
    await turn();
  }
}

describe('LineDoor', () => {
  it('leaves all of the line to a burst', async () => {
    await moving(tenant());
    while (queue.length < CAPACITY) expect(come(tenant())).toBeUndefined();
    // What becomes of the next one is the line's to say.
    expect(refusal(tenant(), ANSWER_MS)).toBeUndefined();
    expect(queue.rejected.full).toBe(0);
  });

  it('keeps the line short where turning away goes on, and no longer than that', async () => {
    await moving(tenant());
    while (queue.length < CAPACITY) come(tenant());
    for (let i = 0; i < 60; i += 1) {
      door.turnedAway();
      await turn();
      for (let more = 0; more < 5; more += 1) come(tenant());
    }
    // A second's worth of it.
    expect(queue.length).toBeGreaterThan(10);
    expect(queue.length).toBeLessThanOrEqual(1_000 / TURN_MS);
    expect(come(tenant())).toMatchObject({ reason: 'full', excessive: false });
    nowMs += 1_001;
    expect(come(tenant())).toBeUndefined();
  });

  it('has somebody ready for the next place, however slow the line moves', async () => {
    await moving(tenant());
    for (let i = 0; i < 60; i += 1) {
      door.turnedAway();
      nowMs += 600;
      await turn();
      come(tenant());
      come(tenant());
    }
    expect(queue.length).toBe(2);
  });

  it('makes a request wait as long as may be where nobody knows what an answer takes', async () => {
    await moving(tenant());
    while (queue.length < CAPACITY - 1) come(tenant());
    for (let i = 0; i < 5; i += 1) {
      door.turnedAway();
      nowMs += 400;
    }
    expect(refusal(tenant(), undefined)).toBeUndefined();
    expect(refusal(tenant(), ANSWER_MS)).toBeInstanceOf(Unserved);
  });

  it('tells nobody of several equal tenants later what it could have told at once', async () => {
    const random = seededRandom(1);
    const sentAway: Unserved[] = [];
    await moving(tenant('t0'));
    let refused = 0;
    for (let i = 0; i < 400; i += 1) {
      await turn();
      for (let more = 0; more < 5; more += 1)
        if (come(tenant(`t${Math.floor(random() * 4)}`), (unserved) => sentAway.push(unserved)) !== undefined)
          refused += 1;
    }
    expect(refused).toBeGreaterThan(1_000);
    expect(sentAway).toEqual([]);
    expect(queue.length).toBeGreaterThan(10);
  });

  it('leaves to the line whoever has nothing in it, or stands before those who have', async () => {
    await moving(tenant('loud', 1));
    while (queue.length < CAPACITY) come(tenant('loud', 1));
    for (let i = 0; i < 20; i += 1) come(tenant('urgent'));
    come(tenant('quiet', 1));
    expect(refusal(tenant('loud', 1), ANSWER_MS)).toMatchObject({ excessive: true });
    expect(refusal(tenant('urgent'), ANSWER_MS)).toBeUndefined();
    expect(refusal(tenant('quiet', 1), ANSWER_MS)).toBeUndefined();
  });

  it('lets a tenant that has nothing in a slow line stand in it, at the cost of the newest of the one that has most', async () => {
    await moving(tenant('loud'));
    const sentAway: Unserved[] = [];
    for (let i = 0; i < 20; i += 1) come(tenant('loud'), (unserved) => sentAway.push(unserved));
    for (let i = 0; i < 40; i += 1) {
      door.turnedAway();
      nowMs += 400;
    }
    expect(queue.expectedWaitMs(tenant('quiet'))).toBeGreaterThan(1_000);
    const before = queue.length;
    for (let i = 0; i < 2; i += 1) expect(come(tenant('quiet'))).toBeUndefined();
    await Promise.resolve();
    expect(sentAway.length).toBe(2);
    expect(sentAway[0]).toMatchObject({ reason: 'full', excessive: true });
    expect(queue.length).toBe(before);
    // Nobody has to go for one that would wait in vain.
    come(tenant('hasty'), () => {}, nowMs + 1_000);
    await Promise.resolve();
    expect(sentAway.length).toBe(2);
  });

  it('lets one of each of many tenants ask for a place', async () => {
    for (let i = 0; i < CAPACITY; i += 1) come(tenant(`t${i}`));
    expect(refusal(tenant('t0'), ANSWER_MS)).toBeInstanceOf(Unserved);
    expect(refusal(tenant('another'), ANSWER_MS)).toBeUndefined();
  });
});
