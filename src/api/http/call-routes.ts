import { AppError } from '../../core/error.ts';
import type { Emit } from '../../core/event.ts';
import type { Access } from '../access-rules.ts';
import type { Call } from './call.ts';
import { requireEndpoint, requireRole } from './door.ts';

/** Reads the request and writes the reply. What it throws, or rejects with, has yet to be told to the client. */
export type CallHandler = (call: Call) => Promise<void>;

/** POST routes by path. They are on the hot path: no framework is between them and the socket. */
export type CallRoutes = Readonly<Record<string, CallHandler>>;

/**
 * Resolves when the reply has ended or cannot be written. Who is calling is found out before anything else is read.
 *
 * @param path Of the route.
 * @param access What it asks of its caller. Default: `user`, which everybody with a key is.
 */
export function answer(
  call: Call,
  path: string,
  handler: CallHandler,
  emit: Emit,
  access: Access = 'user',
): Promise<void> {
  const refuse = (thrown: unknown) => refused(call, thrown, emit);
  try {
    const identified = access === 'open' ? undefined : call.identify();
    const begin = () => {
      admitCaller(call, path, access);
      return handler(call);
    };
    const answered = identified === undefined ? begin() : identified.then(begin);
    return answered.then(() => call.over(), refuse);
  } catch (thrown) {
    refuse(thrown);
    return Promise.resolve();
  }
}

function admitCaller({ caller }: Call, path: string, access: Access): void {
  if (caller === undefined) return;
  if (access !== 'user') requireRole(caller, access);
  requireEndpoint(caller, path);
}

function refused(call: Call, thrown: unknown, emit: Emit): void {
  const error = AppError.from(thrown);
  tellRefused(call, error, emit);
  try {
    call.sendError(error);
  } catch {
    // Not even that can be said: its headers are at fault.
    call.client.destroy();
  }
  call.over();
}

/** A request was turned away before the gateway saw it. */
export function tellRefused({ requestId }: Call, error: AppError, emit: Emit): void {
  const { status, code, param, cause } = error;
  emit({ type: 'request-refused', requestId, status, code, param, cause });
}
