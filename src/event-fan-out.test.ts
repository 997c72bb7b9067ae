import { expect, test, vi } from 'vitest';
import type { GatewayEvent, RequestAdmitted, RequestSettled } from './core/event.ts';
import { writeSoon } from './core/write-batch.ts';
import { EventFanOut } from './event-fan-out.ts';

const admitted = (requestId: string) => ({ type: 'request-admitted', requestId }) as RequestAdmitted;
const settled = (requestId: string) => ({ type: 'request-settled', requestId }) as RequestSettled;
const lookedFor = (): GatewayEvent => ({ type: 'upstream-models-missing', upstream: 'a', missing: [] });
const unexpected = () => expect.unreachable();
const nextTurn = () => new Promise(setImmediate);

test('what happens with requests is told in the same turn, to one observer after the other, and to each in order', async () => {
  const told: string[] = [];
  const events = new EventFanOut(unexpected);
  for (const name of ['first', 'second'])
    events.add((event) => told.push(`${name} ${event.type} ${(event as RequestSettled).requestId}`));
  for (const event of [admitted('a'), admitted('b'), settled('b'), settled('a')]) events.emit(event);
  expect(told).toEqual([]);
  await nextTurn();
  const all = ['request-admitted a', 'request-admitted b', 'request-settled b', 'request-settled a'];
  expect(told).toEqual(['first', 'second'].flatMap((name) => all.map((text) => `${name} ${text}`)));
});

test('recorders hear of it before anything of the turn is sent, the others at its end', async () => {
  const order: string[] = [];
  const events = new EventFanOut(unexpected);
  events.add(() => order.push('observer'));
  events.addRecorder(() => order.push('recorder'));
  writeSoon({ writeNow: () => order.push('written') });
  events.emit(settled('a'));
  await nextTurn();
  expect(order.toSorted()).toEqual(['observer', 'recorder', 'written']);
  expect(order.indexOf('recorder')).toBeLessThan(order.indexOf('written'));
});

test('everything else is told at once', () => {
  const observer = vi.fn();
  const events = new EventFanOut(unexpected);
  events.add(observer);
  events.emit(lookedFor());
  expect(observer).toHaveBeenCalledExactlyOnceWith(lookedFor());
});

test('what has been left for later is told once when it is asked for', async () => {
  const observer = vi.fn();
  const recorder = vi.fn();
  const events = new EventFanOut(unexpected);
  events.add(observer);
  events.addRecorder(recorder);
  events.emit(settled('a'));
  events.flush();
  expect(observer).toHaveBeenCalledExactlyOnceWith(settled('a'));
  expect(recorder).toHaveBeenCalledExactlyOnceWith(settled('a'));
  await nextTurn();
  expect(observer).toHaveBeenCalledTimes(1);
  expect(recorder).toHaveBeenCalledTimes(1);
});

test('an observer that throws keeps nothing from the others, nor the next event from itself', async () => {
  const fault = new Error('no');
  const faults = vi.fn();
  const observer = vi.fn();
  const failing = vi.fn(() => {
    throw fault;
  });
  const events = new EventFanOut(faults);
  events.add(failing, observer);
  events.emit(settled('a'));
  events.emit(settled('b'));
  await nextTurn();
  expect(failing).toHaveBeenCalledTimes(2);
  expect(observer.mock.calls).toEqual([[settled('a')], [settled('b')]]);
  expect(faults.mock.calls).toEqual([
    [fault, settled('a')],
    [fault, settled('b')],
  ]);
});
