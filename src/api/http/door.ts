import type { Caller, Role } from '../../core/caller.ts';
import { AppError } from '../../core/error.ts';
import type { Access } from '../access-rules.ts';

/** Knows who calls. */
export interface Door {
  /** False: nobody has a key, so nobody needs one. */
  readonly keysNeeded: boolean;
  /**
   * Without waiting where the key is known. Undefined: nobody needs a key.
   *
   * @throws AppError `invalid_api_key`, `keys_unavailable`
   */
  authenticate(secret: string | undefined): Caller | undefined | Promise<Caller>;
}

const RANK = { user: 0, viewer: 1, admin: 2 } as const satisfies Record<Role, number>;

/** The secret that a request brings: `Authorization: Bearer`, or where other dialects' SDKs put it. */
export function secretOf(header: (name: string) => string | undefined): string | undefined {
  const authorization = header('authorization');
  if (authorization === undefined) return header('x-api-key') ?? header('api-key');
  const [, secret] = /^bearer +(\S+) *$/i.exec(authorization) ?? [];
  // Something else stands for no key of ours, and is not taken for none at all.
  return secret ?? '';
}

/** @throws AppError `permission_denied` */
export function requireRole({ role }: Caller, access: Access): void {
  if (access === 'open' || RANK[role] >= RANK[access]) return;
  throw new AppError('permission_denied', {
    message: `This needs a key with the role ${access === 'admin' ? '`admin`' : '`viewer` or `admin`'}.`,
  });
}

/**
 * @param route The path in the router's words, where that is another one.
 * @throws AppError `permission_denied`: the key is for other endpoints
 */
export function requireEndpoint({ endpoints }: Caller, path: string, route = path): void {
  if (endpoints === undefined || endpoints.includes(path) || endpoints.includes(route)) return;
  throw new AppError('permission_denied', { message: `This API key is not for ${path}.` });
}
