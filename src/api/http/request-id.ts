import { randomUUID } from 'node:crypto';

/** The client's own request id if it is a harmless one, else a new one. */
export function requestId(given: string | undefined): string {
  return given !== undefined && /^[A-Za-z0-9._-]{1,128}$/.test(given)
    ? given
    : `req_${randomUUID().replaceAll('-', '')}`;
}
