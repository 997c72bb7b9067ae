import { AppError } from '../../core/error.ts';
import { isShortage } from '../../core/shortage.ts';

/**
 * What OpenSSL says stands between where in its sources that was: `error:0A00010B:SSL routines:function:wrong version
 * number:file:77:`.
 */
const OPENSSL_ERROR = /\berror:[0-9A-F]+:[^:]*:[^:]*:([^:]+):/;
/** Advice on another command line, and an address that there is not. */
const NOISE = /; if the root CA is installed locally.*$| - Local \(undefined:undefined\)/g;

const SPEAK_PLAIN = 'It does not speak TLS: begin its url with http://.';
const RENEW = 'Renew its certificate.';
const NAME = 'Have its url name what its certificate names, or correct that.';
const TRUST = 'Have its authority trusted (NODE_EXTRA_CA_CERTS=ca.pem), or correct its certificate.';
const RAISE_LIMIT = 'Raise the number of files that the gateway may open (ulimit -n, LimitNOFILE).';

/**
 * A connection that failed.
 *
 * @param requestSent False: the connection never came about, so that nothing can have been done.
 */
export function transportFailure(error: Error, requestSent: boolean): AppError {
  const detail = transportDetail(error);
  const cause = detail === error.message ? error : new Error(detail);
  if (requestSent) return new AppError('upstream_error', { cause });
  return new AppError(isShortage(error) ? 'model_unavailable' : 'upstream_unreachable', {
    cause,
    nothingSent: true,
  });
}

/** What an operator has to know of a failed connection, and what to do about it. */
export function transportDetail(error: Error): string {
  const message = messageOf(error);
  const reason = OPENSSL_ERROR.exec(message)?.[1];
  const said = reason === undefined ? message.replaceAll(NOISE, '') : `TLS: ${reason}`;
  const fix = transportFix(error);
  return fix === undefined ? said : `${said}. ${fix}`;
}

/** Undefined: nothing but to look at the server. */
export function transportFix({ code = '', message }: NodeJS.ErrnoException): string | undefined {
  if (code === 'EMFILE') return RAISE_LIMIT;
  if (message.includes(':wrong version number:')) return SPEAK_PLAIN;
  if (code === 'CERT_HAS_EXPIRED') return RENEW;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return NAME;
  return /^(?!ERR_SSL_).*(?:CERT|SIGNATURE)/.test(code) ? TRUST : undefined;
}

/** Of a name that has several addresses each was tried. */
function messageOf(error: Error): string {
  if (!(error instanceof AggregateError)) return error.message;
  return error.errors.map(({ message }: Error) => message).join(', ');
}
