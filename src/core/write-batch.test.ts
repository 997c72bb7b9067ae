import { expect, test } from 'vitest';
import { recordFor, recordSoon, writeSoon } from './write-batch.ts';

const nextTurn = () => new Promise(setImmediate);

test('what is to be on record is taken down before anything is written, also what comes meanwhile, and each once', async () => {
  const done: string[] = [];
  writeSoon({ writeNow: () => done.push('written') });
  recordSoon(() => {
    done.push('first');
    recordSoon(() => done.push('second'));
    writeSoon({ writeNow: () => done.push('written, too') });
  });
  expect(done).toEqual([]);
  await nextTurn();
  expect(done).toEqual(['first', 'second', 'written', 'written, too']);
  recordSoon(() => done.push('alone'));
  await nextTurn();
  await nextTurn();
  expect(done.slice(4)).toEqual(['alone']);
});

test('to write at once is preferred after turns that had one writer, whatever was recorded between them', async () => {
  const writer = { writeNow() {} };
  const turn = async (...writers: readonly (typeof writer)[]) => {
    const answers = writers.map(writeSoon);
    await nextTurn();
    return answers;
  };
  await turn(writer);
  expect(await turn(writer, writer)).toEqual([true, false]);
  recordSoon(() => {});
  await nextTurn();
  expect(await turn(writer)).toEqual([false]);
  expect(await turn(writer)).toEqual([true]);
});

test('what one writer waits for is taken down at once where it is the only one, in a turn after one that was calm', async () => {
  const done: string[] = [];
  const writer = { writeNow: () => done.push('written') };
  const other = { writeNow() {} };
  writeSoon(other);
  await nextTurn();
  writeSoon(writer);
  recordSoon(() => done.push('recorded'));
  expect([recordFor(other), done]).toEqual([false, []]);
  expect([recordFor(writer), done]).toEqual([true, ['recorded']]);
  await nextTurn();
  expect(done).toEqual(['recorded', 'written']);
  writeSoon(writer);
  writeSoon(other);
  recordSoon(() => done.push('recorded'));
  expect([recordFor(writer), done.length]).toEqual([false, 2]);
  await nextTurn();
  writeSoon(writer);
  expect(recordFor(writer)).toBe(false);
  await nextTurn();
});
