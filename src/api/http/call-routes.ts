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
 * Resolves when the reply has ended or cannot be written. Who calls is found out before anything else is read.
 *
 * @param path Of the route.
 * @param access What it asks of its caller. Default: `user`, which everybody with a key is.
 */
export async function answer(
  call: Call,
  path: string,
  handler: CallHandler,
  emit: Emit,
  access: Access = 'user',
): Promise<void> {
  try {
    if (access !== 'open') {
      const identified = call.identify();
      if (identified !== undefined) await identified;
      if (call.caller !== undefined) {
        if (access !== 'user') requireRole(call.caller, access);
        requireEndpoint(call.caller, path);
      }
    }
    await handler(call);
  } catch (thrown) {
    const error = AppError.from(thrown);
    tellRefused(call, error, emit);
    try {
      call.sendError(error);
    } catch {
      // Not even that can be said: its headers are at fault.
      call.client.destroy();
    }
  }
}

/** A request was turned away before the gateway saw it. */
export function tellRefused({ requestId }: Call, error: AppError, emit: Emit): void {
  const { status, code, param, cause } = error;
  emit({ type: 'request-refused', requestId, status, code, param, cause });
}
