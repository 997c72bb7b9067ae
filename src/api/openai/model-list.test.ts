import { expect, it } from 'vitest';
import { modelList, modelObject } from './model-list.ts';

const model = { name: 'org/m:1', deployments: [], createdAtS: 1_700_000_000.9 };

it('shows a model without saying where it runs', () => {
  expect(modelObject(model)).toEqual({
    id: 'org/m:1',
    object: 'model',
    created: 1_700_000_000,
    owned_by: 'qianmen',
  });
});

it('lists models', () => {
  expect(modelList([model])).toEqual({ object: 'list', data: [modelObject(model)] });
});
