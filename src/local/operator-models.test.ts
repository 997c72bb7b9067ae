import { expect, test } from 'vitest';
import { type EngineConfig, engine } from '../../config/engine.ts';
import { OperatorModels } from './operator-models.ts';

const settings = (name: string, slots: number): EngineConfig =>
  engine.parse({ name, path: `/${name}`, slots });
const wanted = (name: string, slots: number) => ({ settings: settings(name, slots), path: `/${name}` });
const slotsOf = (models: readonly { settings: EngineConfig }[]) =>
  models.map((model) => [model.settings.name, model.settings.slots]);

test('what operators add comes after the configuration; what they replace takes its place', () => {
  const models = new OperatorModels();
  const configured = [settings('a', 1), settings('b', 1)];
  models.set(wanted('a', 2), configured);
  models.set(wanted('c', 3), configured);
  const merged = models.merge([wanted('a', 1), wanted('b', 1)]);
  expect(slotsOf(merged)).toEqual([
    ['a', 2],
    ['b', 1],
    ['c', 3],
  ]);
});

test('the later word counts: a configuration that says something new of a name, and one that takes it out', () => {
  const models = new OperatorModels();
  models.set(wanted('a', 2), [settings('a', 1)]);
  models.set(wanted('c', 3), []);
  expect(slotsOf(models.merge([wanted('a', 5), wanted('c', 1)]))).toEqual([
    ['a', 5],
    ['c', 1],
  ]);
  expect(slotsOf(models.merge([]))).toEqual([['c', 3]]);
  models.prune([settings('a', 5)]);
  expect(models.has('a')).toBe(false);
  expect(models.has('c')).toBe(true);
  models.prune([settings('a', 1), settings('c', 1)]);
  expect(models.has('c')).toBe(false);
});

test('what is undone leaves no trace', () => {
  const models = new OperatorModels();
  const undo = models.set(wanted('a', 2), [settings('a', 1)]);
  const undoDelete = models.delete('a');
  expect(models.has('a')).toBe(false);
  undoDelete();
  expect(models.has('a')).toBe(true);
  undo();
  expect(slotsOf(models.merge([wanted('a', 1)]))).toEqual([['a', 1]]);
});
