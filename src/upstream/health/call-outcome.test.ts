import { expect, it } from 'vitest';
import { AppError } from '../../core/error.ts';
import { detailOf, outcomeOf } from './call-outcome.ts';

it.each([
  ['upstream_unreachable', undefined, 'unreachable'],
  ['upstream_unreachable', 503, 'unavailable'],
  ['upstream_timeout', undefined, 'late'],
  ['upstream_timeout', 200, 'late'],
  ['upstream_timeout', 504, 'failed'],
  ['upstream_error', undefined, 'failed'],
  ['upstream_error', 200, 'failed'],
  ['upstream_error', 500, 'failed'],
  ['upstream_error', 501, 'neutral'],
  ['upstream_refused', 404, 'neutral'],
  ['rate_limit_exceeded', 429, 'neutral'],
  ['client_closed', undefined, 'neutral'],
] as const)('%s after %s is %s', (code, status, outcome) => {
  expect(outcomeOf(new AppError(code), status)).toBe(outcome);
});

it('tells what OpenSSL says without where it says it', () => {
  const said =
    'write EPROTO 40BDC196997F0000:error:0A00010B:SSL routines:tls_validate_record_header:wrong version number:../deps/openssl/openssl/ssl/record/methods/tlsany_meth.c:77:\n';
  const detail = (message: string) => detailOf(new AppError('upstream_error', { cause: new Error(message) }));
  expect(detail(said)).toBe('TLS: wrong version number');
  expect(detail('certificate has expired')).toBe('certificate has expired');
});
