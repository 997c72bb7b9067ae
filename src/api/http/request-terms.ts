import { AppError } from '../../core/error.ts';
import { newDecisionId } from '../../gateway/request/decision-id.ts';
import type { RequestTerms } from '../../gateway/request-context.ts';
import type { Call } from './call.ts';
import { requestDemands } from './request-demands.ts';

const TIMEOUT = 'x-qianmen-timeout-ms';
const MAX_MS = 3_600_000;

/**
 * What the client's headers say of how its request is to be served. From here on its reply names the decision about it.
 *
 * @throws AppError `invalid_value`
 */
export function requestTerms(call: Call): RequestTerms {
  const header = (name: string) => call.header(name);
  const decisionId = newDecisionId();
  call.decisionId = decisionId;
  const limitMs = timeoutMs(header(TIMEOUT));
  const demands = requestDemands(header, call.options.region);
  const { caller, client } = call;
  if (caller === undefined) return { decisionId, timeoutMs: limitMs, demands, client };
  const onAdmitted: RequestTerms['onAdmitted'] = ({ rate }) => {
    call.rate = rate;
  };
  return { decisionId, timeoutMs: limitMs, demands, client, caller, onAdmitted };
}

/** How long the client is willing to wait for the whole reply; undefined: it does not say. */
function timeoutMs(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (ms >= 1 && ms <= MAX_MS) return ms;
  throw new AppError('invalid_value', {
    message: `The header ${TIMEOUT} must be a whole number of milliseconds from 1 to ${MAX_MS}.`,
    param: TIMEOUT,
  });
}
