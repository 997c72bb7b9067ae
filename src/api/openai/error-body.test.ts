import { describe, expect, it } from 'vitest';
import { AppError, ERROR_CATALOGUE, type ErrorCode } from '../../core/error.ts';
import { headerPairs } from '../http/header-lines.ts';
import { errorBody, errorEvent, errorLines } from './error-body.ts';

const errorHeaders = (error: AppError) => Object.fromEntries(headerPairs(errorLines(error)));

describe('errorBody', () => {
  it.each(Object.keys(ERROR_CATALOGUE) as ErrorCode[])('has all four keys for %s', (code) => {
    const { error } = JSON.parse(JSON.stringify(errorBody(new AppError(code))));
    expect(Object.keys(error)).toEqual(['message', 'type', 'param', 'code']);
    expect(error).toEqual({ ...error, type: ERROR_CATALOGUE[code].type, param: null, code });
    expect(error.message).not.toBe('');
  });

  it('names the field and never tells the cause', () => {
    const error = new AppError('invalid_value', { param: 'n', cause: new Error('secret') });
    expect(errorBody(error).error.param).toBe('n');
    expect(JSON.stringify(errorBody(error))).not.toContain('secret');
  });
});

describe('errorEvent', () => {
  it('is one SSE event on one line, whatever the message holds', () => {
    const event = errorEvent(new AppError('upstream_error', { message: 'a\nb\r\n\ndata: [DONE]' }));
    expect(event).toMatch(/^data: [^\r\n]*\n\n$/);
    expect(JSON.parse(event.slice(6)).error.code).toBe('upstream_error');
  });
});

describe('errorLines', () => {
  it('tells nothing where the SDK rule is right', () => {
    expect(errorHeaders(new AppError('invalid_value'))).toEqual({});
    expect(errorHeaders(new AppError('upstream_error'))).toEqual({});
  });

  it('asks for a second of patience where nobody knows how long something is down', () => {
    expect(errorHeaders(new AppError('overloaded'))).toMatchObject({ 'retry-after': '1' });
    expect(errorHeaders(new AppError('upstream_unreachable'))).toMatchObject({ 'retry-after': '1' });
  });

  it('rounds the time to come back up to whole seconds', () => {
    expect(errorHeaders(new AppError('overloaded', { retryAfterMs: 1_200.5 }))).toEqual({
      'retry-after': '2',
      'retry-after-ms': '1201',
    });
  });

  it('stops SDKs that would come back sooner than they were told', () => {
    expect(errorHeaders(new AppError('rate_limit_exceeded', { retryAfterMs: 61_000 }))).toEqual({
      'retry-after': '61',
      'retry-after-ms': '61000',
      'x-should-retry': 'false',
    });
  });

  it('invites SDKs to retry a retryable error whose status they would take as final', () => {
    expect(errorHeaders(new AppError('upstream_error', { status: 424 }))).toEqual({
      'x-should-retry': 'true',
    });
  });
});
