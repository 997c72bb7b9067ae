import { describe, expect, it, vi } from 'vitest';
import { parseServedModels, ServedModels } from './served-models.ts';

describe('what a list of models says', () => {
  it.each([
    ['{"object":"list","data":[{"id":"a"},{"id":"b"},{"id":"a"}]}', ['a', 'b']],
    ['{"data":[{"id":7},null,{}]}', []],
    ['{"data":{}}', undefined],
    ['[{"id":"a","type":"chat"},{"id":"b"}]', ['a', 'b']],
    ['[]', undefined],
    ['[{"name":"a"}]', undefined],
    ['<html>', undefined],
    ['', undefined],
  ])('%s is %j', (body, models) => {
    expect(parseServedModels(body)).toEqual(models);
  });
});

describe('models that are missing', () => {
  it('are told once, again when they change, and when they are there', () => {
    const told = vi.fn();
    const models = new ServedModels(told);
    models.expect(['a', 'b', 'a']);
    expect(told).not.toHaveBeenCalled();
    models.listed(['a']);
    models.listed(['a']);
    expect(told.mock.calls).toEqual([[['b']]]);
    models.expect(['a', 'b', 'c']);
    expect(told).toHaveBeenLastCalledWith(['b', 'c']);
    models.listed(['a', 'b', 'c']);
    expect(told).toHaveBeenLastCalledWith([]);
    expect(told).toHaveBeenCalledTimes(3);
  });

  it('are none where the server does not tell', () => {
    const told = vi.fn();
    const models = new ServedModels(told);
    models.expect(['a']);
    models.listed(undefined);
    expect(models.missing).toEqual([]);
    expect(told).not.toHaveBeenCalled();
  });
});
