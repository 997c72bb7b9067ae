import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Call } from './call.ts';

/** What every route may rely on. */
export interface AppEnv {
  Bindings: { readonly incoming: IncomingMessage; readonly outgoing: ServerResponse };
  Variables: { call: Call };
}
