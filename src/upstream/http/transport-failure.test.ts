import { expect, it } from 'vitest';
import { transportDetail, transportFailure } from './transport-failure.ts';

const failed = (message: string, code?: string) => Object.assign(new Error(message), { code });

it('tells what OpenSSL says without where it says it', () => {
  const said =
    'write EPROTO 40BDC196997F0000:error:0A0001BB:SSL routines:tls13_validate_record_header:bad record type:../deps/openssl/openssl/ssl/record/methods/tls13_meth.c:263:\n';
  expect(transportDetail(new Error(said))).toBe('TLS: bad record type');
  expect(transportDetail(new Error('certificate has expired'))).toBe('certificate has expired');
});

it('tells why each address of a name could not be reached', () => {
  const errors = [failed('connect ECONNREFUSED 10.0.0.1:80'), failed('connect ECONNREFUSED 10.0.0.2:80')];
  expect(transportDetail(new AggregateError(errors))).toBe(
    'connect ECONNREFUSED 10.0.0.1:80, connect ECONNREFUSED 10.0.0.2:80',
  );
});

it.each([
  ['CERT_HAS_EXPIRED', 'Renew its certificate.'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'Have its authority trusted'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'Have its authority trusted'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'Have its url name what its certificate names'],
  ['EMFILE', 'Raise the number of files'],
])('says what to do about %s', (code, fix) => {
  expect(transportDetail(failed('no', code))).toMatch(`no. ${fix}`);
});

it.each(['ECONNREFUSED', 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'])(
  'does not know what to do about %s',
  (code) => {
    expect(transportDetail(failed('no', code))).toBe('no');
  },
);

it('says that a server cannot be reached only where it is not this process that has nothing left', () => {
  const failure = (code: string) => transportFailure(failed('no', code), false);
  expect(failure('ECONNREFUSED')).toMatchObject({ code: 'upstream_unreachable', nothingSent: true });
  expect(failure('EMFILE')).toMatchObject({ code: 'model_unavailable', nothingSent: true });
});
