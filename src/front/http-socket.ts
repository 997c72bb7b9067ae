import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * A connection that Node reads, with what Node's own code goes by: the reply that is being sent, until all of it has
 * been.
 */
export type HttpSocket = Socket & { readonly _httpMessage?: ServerResponse | null };
