import { expect, it } from 'vitest';
import { errorToldBy, errorWithin } from './error-within.ts';
import { NO_SECRETS } from './secrets.ts';

it.each([
  ['Azure', { message: 'no_kv_space', type: 'server_error', code: 'rate_limit_exceeded' }, 429],
  ['Anthropic', { type: 'rate_limit_error', message: 'slow down' }, 429],
  [
    'Groq',
    { message: 'no call', type: 'invalid_request_error', code: 'tool_use_failed', status_code: 400 },
    400,
  ],
  ['OpenAI', { message: 'too long', type: 'invalid_request_error', code: 'context_length_exceeded' }, 400],
  ['vLLM', { message: 'bad', type: 'BadRequestError', code: 400 }, 400],
  ['a dead key', { message: 'Incorrect key', type: 'invalid_request_error', code: 'invalid_api_key' }, 502],
  ['something else', { message: 'died', code: 'constructor' }, 502],
])('an error of %s with status 200 means what its words say', (_, error, status) => {
  expect(errorWithin(JSON.stringify({ error }), 'an event', NO_SECRETS)).toMatchObject({ status });
});

it('is told, too, where it goes so deep that it cannot be written again', () => {
  const deep = `${'['.repeat(30_000)}${']'.repeat(30_000)}`;
  const told = (error: string) => errorToldBy(`{"error":${error}}`, 'a reply', NO_SECRETS);
  expect(told(deep)).toMatchObject({ code: 'upstream_error', retryable: true });
  expect(told(`{"code":400,"message":"bad","details":${deep}}`)).toMatchObject({ status: 400 });
});
