import { describe, expect, test } from 'vitest';
import { AppError } from '../../core/error.ts';
import { requestDemands } from './request-demands.ts';

const demands = (headers: Record<string, string>, region?: string) =>
  requestDemands((name) => headers[name], region);

const problemOf = (headers: Record<string, string>): AppError => {
  try {
    demands(headers);
  } catch (error) {
    if (error instanceof AppError) return error;
  }
  throw new Error('nothing was thrown');
};

test('no header demands nothing', () => {
  expect(demands({})).toEqual({});
});

test('every header is read', () => {
  const headers = {
    'x-qianmen-privacy': 'local',
    'x-qianmen-max-cost': '0.0025',
    'x-qianmen-slo-ttft-ms': '500',
    'x-qianmen-session': 'abc',
  };
  expect(demands(headers)).toEqual({
    privacy: 'local',
    maxCostUsd: 0.0025,
    sloTtftMs: 500,
    sessionKey: 'abc',
  });
});

test('`region` stands for the region of the gateway, and `any` demands nothing', () => {
  expect(demands({ 'x-qianmen-privacy': 'region' }, 'cn-hangzhou')).toMatchObject({
    regions: ['cn-hangzhou'],
  });
  const { privacy, regions } = demands({ 'x-qianmen-privacy': 'any' }, 'cn-hangzhou');
  expect([privacy, regions]).toEqual([undefined, undefined]);
});

describe('refuses, naming the header:', () => {
  test.each([
    ['x-qianmen-privacy', 'region'],
    ['x-qianmen-privacy', 'public'],
    ['x-qianmen-privacy', ''],
    ['x-qianmen-privacy', 'local, any'],
    ['x-qianmen-max-cost', '-1'],
    ['x-qianmen-max-cost', '1e9'],
    ['x-qianmen-max-cost', 'free'],
    ['x-qianmen-max-cost', ''],
    ['x-qianmen-slo-ttft-ms', '0'],
    ['x-qianmen-slo-ttft-ms', 'Infinity'],
    ['x-qianmen-session', 's'.repeat(257)],
    ['x-qianmen-session', ''],
  ])('%s: %s', (name, value) => {
    expect(problemOf({ [name]: value })).toMatchObject({ code: 'invalid_value', param: name });
  });
});
