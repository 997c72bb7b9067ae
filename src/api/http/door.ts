import { type Caller, ROLES, type Role } from '../../core/caller.ts';
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

/** What each role may do beside its own. */
const INCLUDED = {
  user: [],
  'organization-viewer': ['user'],
  'organization-admin': ['user', 'organization-viewer'],
  viewer: ['user', 'organization-viewer'],
  admin: ['user', 'organization-viewer', 'organization-admin', 'viewer'],
} as const satisfies Record<Role, readonly Role[]>;

const BEARER = 'Bearer ';

/** The secret that a request brings: `Authorization: Bearer`, or where other dialects' SDKs put it. */
export function secretOf(header: (name: string) => string | undefined): string | undefined {
  const authorization = header('authorization');
  if (authorization === undefined) return header('x-api-key') ?? header('api-key');
  // As nearly all write it. What is left is not looked at here: it is somebody's key or not.
  if (authorization.startsWith(BEARER) && !authorization.includes(' ', BEARER.length))
    return authorization.slice(BEARER.length);
  const [, secret] = /^bearer +(\S+) *$/i.exec(authorization) ?? [];
  // Something else stands for no key of ours, and is not taken for none at all.
  return secret ?? '';
}

/** @throws AppError `permission_denied` */
export function requireRole({ role }: Caller, access: Access): void {
  if (access === 'open' || may(role, access)) return;
  const roles = ROLES.filter((one) => may(one, access)).map((one) => `\`${one}\``);
  throw new AppError('permission_denied', {
    message: `This needs a key with the role ${roles.join(' or ')}.`,
  });
}

function may(role: Role, access: Role): boolean {
  const included: readonly Role[] = INCLUDED[role];
  return role === access || included.includes(access);
}

/**
 * @param route The path in the router's words, where that is another one.
 * @throws AppError `permission_denied`: the key is for other endpoints
 */
export function requireEndpoint({ endpoints }: Caller, path: string, route = path): void {
  if (endpoints === undefined || endpoints.includes(path) || endpoints.includes(route)) return;
  throw new AppError('permission_denied', { message: `This API key is not for ${path}.` });
}
