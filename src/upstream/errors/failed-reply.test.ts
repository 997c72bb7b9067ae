import { describe, expect, it } from 'vitest';
import { recordings } from '../../../test/recorded/recordings.ts';
import { mapFailedReply } from './failed-reply.ts';
import { secretsOf } from './secrets.ts';

const secrets = secretsOf(new URL('http://gpu-7.internal:8000/v1'), 'sk-upstream-key');
const map = (status: number, body: unknown, retryAfterMs?: number) =>
  mapFailedReply(
    { status, body: typeof body === 'string' ? body : JSON.stringify(body), retryAfterMs },
    secrets,
  );

describe('mapFailedReply', () => {
  it.each([
    [401, 'upstream_refused', 502, true],
    [403, 'upstream_refused', 502, true],
    [402, 'upstream_refused', 502, true],
    [404, 'upstream_refused', 502, true],
    [405, 'upstream_refused', 502, true],
    [301, 'upstream_refused', 502, true],
    [307, 'upstream_refused', 502, true],
    [409, 'upstream_error', 502, true],
    [408, 'upstream_timeout', 504, true],
    [429, 'rate_limit_exceeded', 429, true],
    [500, 'upstream_error', 502, true],
    [502, 'upstream_error', 502, true],
    [503, 'upstream_unreachable', 503, true],
    [504, 'upstream_timeout', 504, true],
    [501, 'upstream_error', 501, true],
    [529, 'upstream_unreachable', 503, true],
    [400, 'upstream_rejected', 400, false],
    [413, 'upstream_rejected', 413, false],
    [422, 'upstream_rejected', 422, false],
  ])('%i becomes %s', (status, code, ours, retryable) => {
    expect(map(status, {})).toMatchObject({ code, status: ours, retryable });
  });

  it('keeps the words of an upstream to itself unless the client can mend the request', () => {
    const body = { error: { message: 'CUDA out of memory on gpu-7' } };
    for (const status of [401, 404, 429, 500, 503]) expect(map(status, body).message).not.toContain('CUDA');
    expect(map(500, body).cause).toMatchObject({ message: expect.stringContaining('CUDA') });
  });

  it.each([
    [{ error: { message: 'bad', param: 'temperature', code: 400 } }, 'bad', 'temperature'],
    [{ error: 'bad' }, 'bad', undefined],
    [{ object: 'error', message: 'bad', param: null, code: 40001 }, 'bad', undefined],
    [{ detail: 'bad' }, 'bad', undefined],
    [{ error: { message: '', param: '' } }, 'The model server refused the request.', undefined],
    [{ detail: [{ msg: 'bad' }] }, 'The model server refused the request.', undefined],
    [{ detail: [{ loc: ['body', 'n'], msg: 'too large' }] }, 'n: too large', 'n'],
    [{ message: { detail: [{ loc: ['body', 'a', 0], msg: 'bad' }] } }, 'a.0: bad', 'a.0'],
    [{ object: 'Error', message: [{ loc: ['body', 'tools'], msg: 'bad' }] }, 'tools: bad', 'tools'],
    ['<html>', 'The model server refused the request.', undefined],
    ['null', 'The model server refused the request.', undefined],
  ])('reads the refusal %j', (body, message, param) => {
    expect(map(400, body)).toMatchObject({ code: 'upstream_rejected', message, param });
  });

  it('scrubs address and key, and caps the length', () => {
    const leaky = 'http://gpu-7.internal:8000 with sk-upstream-key at gpu-7.internal:8000 (gpu-7.internal) ';
    const { message } = map(400, { error: { message: leaky.repeat(200) } });
    expect(message).not.toMatch(/gpu-7|8000|sk-/);
    expect(message.length).toBe(2_000);
  });

  it('scrubs the name of the parameter too', () => {
    const { param } = map(400, { error: { message: 'bad', param: 'sk-upstream-key@gpu-7.internal' } });
    expect(param).toBe('…@…');
  });

  it('tells operators no part of the key, where what they are told is cut either', () => {
    for (let before = 1_970; before < 2_000; before++) {
      const { cause } = map(401, `${'x'.repeat(before)}sk-upstream-key`);
      expect((cause as Error).message).not.toContain('sk-');
    }
  });

  it('passes Retry-After on', () => {
    expect(map(429, {}, 1_500).retryAfterMs).toBe(1_500);
    expect(map(503, {}, 1_500).retryAfterMs).toBe(1_500);
    expect(map(500, {}, 1_500).retryAfterMs).toBe(1_500);
  });

  it.each([307, 401, 404])('does not when it is not for a client to wait until %i is mended', (status) => {
    expect(map(status, {}, 1_500).retryAfterMs).toBeUndefined();
  });

  it.each([
    "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.",
    "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
    'the request exceeds the available context size. try increasing the context size',
    'The model is loaded with context length of only 4096 tokens, which is not enough.',
  ])('knows a prompt that is too long by %j', (message) => {
    expect(map(400, { error: { message } })).toMatchObject({ code: 'context_length_exceeded', message });
  });

  it('tells a prompt that is too long from other refusals', () => {
    const recorded = recordings().filter(({ name }) => name.startsWith('error-'));
    const codes = Object.fromEntries(
      recorded.map(({ name, status, bytes }) => [name, map(status, bytes.toString()).code]),
    );
    expect(codes).toEqual({
      'error-bad-max-tokens': 'upstream_rejected',
      'error-bad-value': 'upstream_rejected',
      'error-missing-messages': 'upstream_rejected',
      'error-too-long': 'context_length_exceeded',
      'error-unknown-model': 'upstream_refused',
      'error-wrong-key': 'upstream_refused',
    });
  });
});
