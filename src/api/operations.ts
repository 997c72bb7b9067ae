import type { Hono } from 'hono';
import type { BackendHealth } from '../core/backend.ts';
import type { AppEnv } from './http/app-env.ts';
import type { Call } from './http/call.ts';
import { requireRole } from './http/door.ts';

export interface Readiness {
  readonly ready: boolean;
  readonly draining: boolean;
  readonly backends: Readonly<Record<string, BackendHealth>>;
  /** Why the configuration that was last read is not in use. */
  readonly configProblem?: string;
  /** What of keys, limits and the ledger does not work as configured. Requests are served all the same, as far as can be. */
  readonly accountProblems?: readonly string[];
}

export interface OperationsOptions {
  readonly readiness: () => Readiness;
  readonly metrics: () => Promise<{ readonly contentType: string; readonly body: string }>;
}

/** Routes for the people and machines that run the gateway. */
export function operationsRoutes(app: Hono<AppEnv>, { readiness, metrics }: OperationsOptions): void {
  app.get('/healthz', (c) => c.json({ status: 'ok' }));
  app.get('/readyz', async (c) => {
    const { ready, draining, backends, configProblem, accountProblems = [] } = readiness();
    const status = draining ? 'draining' : ready ? 'ready' : 'not ready';
    const config =
      configProblem === undefined ? {} : { config: { status: 'refused', detail: configProblem } };
    const problems = accountProblems.length === 0 ? {} : { problems: accountProblems };
    // Why tells of addresses, and of what servers have said.
    const replacer = (await isOperator(c.get('call'))) ? undefined : withoutDetail;
    const body = JSON.stringify({ status, backends, ...config, ...problems }, replacer);
    const type = { 'content-type': 'application/json' };
    return c.body(body, ready && !draining ? 200 : 503, type);
  });
  app.get('/metrics', async (c) => {
    const { contentType, body } = await metrics();
    return c.body(body, 200, { 'content-type': contentType });
  });
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
