import type { BackendHealth } from '../core/backend.ts';
import type { Call } from './http/call.ts';
import { requireRole } from './http/door.ts';

export interface Readiness {
  readonly ready: boolean;
  readonly draining: boolean;
  readonly backends: Readonly<Record<string, BackendHealth>>;
  /** Why the configuration that was read last is not in use. */
  readonly configProblem?: string;
  /**
   * What does not work as configured in keys, limits and the ledger. Requests are served all the same, as far as
   * possible.
   */
  readonly accountProblems?: readonly string[];
}

export interface OperationsOptions {
  readonly readiness: () => Readiness;
  readonly metrics: () => Promise<{ readonly contentType: string; readonly body: string }>;
}

export interface OperationsReply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** GET routes for the people and machines that run the gateway, by path. */
export type OperationsRoutes = Readonly<
  Record<string, (call: Call) => OperationsReply | Promise<OperationsReply>>
>;

const JSON_TYPE = 'application/json';

export function operationsRoutes({ readiness, metrics }: OperationsOptions): OperationsRoutes {
  return {
    '/healthz': () => ({ status: 200, contentType: JSON_TYPE, body: JSON.stringify({ status: 'ok' }) }),
    '/readyz': async (call) => {
      const { ready, draining, backends, configProblem, accountProblems = [] } = readiness();
      const status = draining ? 'draining' : ready ? 'ready' : 'not ready';
      const config =
        configProblem === undefined ? {} : { config: { status: 'refused', detail: configProblem } };
      const problems = accountProblems.length === 0 ? {} : { problems: accountProblems };
      // The reasons tell of addresses, and of what servers have said.
      const replacer = (await isOperator(call)) ? undefined : withoutDetail;
      const body = JSON.stringify({ status, backends, ...config, ...problems }, replacer);
      return { status: ready && !draining ? 200 : 503, contentType: JSON_TYPE, body };
    },
    '/metrics': async () => ({ status: 200, ...(await metrics()) }),
  };
}

/** Whoever asks whether it is ready needs no key; whoever wants to know more does, where there are any. */
async function isOperator(call: Call): Promise<boolean> {
  try {
    await call.identify();
    if (call.caller !== undefined) requireRole(call.caller, 'viewer');
    return true;
  } catch {
    return false;
  }
}

function withoutDetail(name: string, value: unknown): unknown {
  return name === 'detail' ? undefined : value;
}
