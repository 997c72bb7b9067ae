import { beforeEach, describe, expect, it } from 'vitest';
import type { Deployment } from '../../core/deployment.ts';
import type { Tenant } from '../request/tenant.ts';
import { Lane, type Passage } from './lane.ts';

const LONG_MS = 150;
const VERY_LONG_MS = 6_000;
const anybody: Tenant = { projectId: '', weight: 1, priority: 0 };

let nowMs: number;
let lane: Lane;

beforeEach(() => {
  nowMs = 0;
  const backend = {
    name: 'a',
    kind: 'upstream',
    concurrency: { initial: 2, max: 5 },
    health: () => ({ state: 'ready', inFlight: 0, queued: 0 }),
  };
  lane = new Lane(backend as unknown as Deployment['backend'], () => nowMs, Math.random);
});

const hasRoom = () => lane.hasRoomFor(anybody, false);
const enter = () => lane.enter(anybody, false, lane.timings('m').firstToken, 100, true);

class Client {
  takenBytes = 1_000;
  isCutOff = false;

  destroy(): void {
    this.isCutOff = true;
    this.takenBytes = 0;
  }
}

function enterPaused(client = new Client()): Passage {
  const passage = enter();
  lane.begun(passage);
  lane.paused(passage, client);
  return passage;
}

/** As many as ever may be inside have lent their places. */
function fillWithDeaf() {
  const deaf = Array.from({ length: 5 }, () => {
    const client = new Client();
    const passage = enterPaused(client);
    nowMs += LONG_MS;
    hasRoom();
    return { client, passage };
  });
  return { deaf, cutOff: () => deaf.flatMap(({ client }, i) => (client.isCutOff ? [i] : [])) };
}

describe('the place of a reply whose client takes nothing', () => {
  it('is lent once that has lasted for a while, and its own again when the client reads on', () => {
    const slow = enterPaused();
    enter();
    nowMs += LONG_MS / 2;
    expect(hasRoom()).toBe(false);
    nowMs += LONG_MS / 2;
    expect(hasRoom()).toBe(true);
    expect(lane.report()).toMatchObject({ inFlight: 2, lent: 1 });
    const other = enter();
    expect(hasRoom()).toBe(false);
    lane.resumed(slow);
    lane.leave(other);
    expect(hasRoom()).toBe(false);
    lane.leave(slow);
    expect(hasRoom()).toBe(true);
  });

  it('stays its own where the client takes something now and then', () => {
    const slow = enterPaused();
    enter();
    for (let i = 0; i < 10; i += 1) {
      nowMs += LONG_MS / 2;
      lane.resumed(slow);
      lane.paused(slow, new Client());
      expect(hasRoom()).toBe(false);
    }
  });

  it('is not lent where more would be inside than ever may', () => {
    for (let i = 0; i < 5; i += 1) {
      enterPaused();
      nowMs += LONG_MS;
      expect(hasRoom()).toBe(i < 4);
    }
  });

  it('is lent once, however often it is said that the client takes nothing', () => {
    const slow = enterPaused();
    nowMs += LONG_MS / 2;
    lane.paused(slow, new Client());
    nowMs += LONG_MS / 2;
    expect(hasRoom()).toBe(true);
    expect(lane.report()).toMatchObject({ inFlight: 1, lent: 1 });
    lane.paused(slow, new Client());
    nowMs += LONG_MS;
    expect(hasRoom()).toBe(true);
    expect(lane.report()).toMatchObject({ inFlight: 1, lent: 1 });
    lane.resumed(slow);
    expect(lane.report()).toMatchObject({ inFlight: 1, lent: 0 });
    expect(lane.limit!.inFlight).toBe(1);
  });

  it('is free when it leaves, wherever it was', () => {
    const all = [enterPaused(), enterPaused()];
    nowMs += LONG_MS;
    expect(hasRoom()).toBe(true);
    all.push(enterPaused());
    for (const passage of all) lane.leave(passage);
    expect(lane.report()).toMatchObject({ inFlight: 0, lent: 0 });
    expect(lane.limit!.inFlight).toBe(0);
  });
});

describe('where those that lend their places are as many as ever may be inside', () => {
  it('the client that has taken nothing for longest is cut off, once that is long and somebody waits', () => {
    const { deaf, cutOff } = fillWithDeaf();
    expect(hasRoom()).toBe(false);
    expect(lane.reclaim()).toBe(false);
    nowMs += VERY_LONG_MS;
    expect(hasRoom()).toBe(false);
    expect(cutOff()).toEqual([]);
    expect(lane.reclaim()).toBe(true);
    expect(cutOff()).toEqual([0]);
    lane.leave(deaf[0]!.passage);
    expect(hasRoom()).toBe(true);
  });

  it('one is cut off for each that comes, however often it asks', () => {
    const { deaf, cutOff } = fillWithDeaf();
    nowMs += VERY_LONG_MS;
    for (let i = 0; i < 3; i += 1) expect(lane.reclaim()).toBe(true);
    expect(cutOff()).toEqual([0]);
    lane.leave(deaf[0]!.passage);
    expect(lane.reclaim()).toBe(false);
    enter();
    expect(lane.reclaim()).toBe(true);
    expect(cutOff()).toEqual([0, 1]);
  });

  it('a client that takes a little now and then stays', () => {
    const { deaf, cutOff } = fillWithDeaf();
    for (let i = 0; i < 10; i += 1) {
      nowMs += VERY_LONG_MS / 2;
      for (const { client } of deaf) client.takenBytes += 1;
      expect(lane.reclaim()).toBe(false);
    }
    nowMs += VERY_LONG_MS;
    for (const { client } of deaf.slice(0, 3)) client.takenBytes += 1;
    expect(lane.reclaim()).toBe(true);
    expect(cutOff()).toEqual([3]);
    lane.leave(deaf[3]!.passage);
    enter();
    expect(lane.reclaim()).toBe(true);
    expect(cutOff()).toEqual([3, 4]);
  });

  it('nobody is cut off where others inside are what there is no room beside', () => {
    const { deaf, cutOff } = fillWithDeaf();
    lane.leave(deaf[4]!.passage);
    lane.leave(deaf[3]!.passage);
    enter();
    enter();
    nowMs += VERY_LONG_MS;
    expect(hasRoom()).toBe(false);
    expect(lane.reclaim()).toBe(false);
    expect(cutOff()).toEqual([]);
  });
});
