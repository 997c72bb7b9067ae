import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** A connection that Node reads, with what Node's own code goes by: the reply that it waits for, until all of it was sent. */
export type HttpSocket = Socket & { readonly _httpMessage?: ServerResponse | null };
