import { z } from 'zod';
import { milliseconds, millisecondsOrNone, positive } from './primitives.ts';

export const listen = z.strictObject({
  host: z.string().min(1).default('127.0.0.1'),
  port: z.number().int().min(0).max(65_535).default(8080),
  /** Gateway processes that share the port; more than one only without `engines`. */
  workers: positive.max(256).default(1),
  /** Largest request body; larger ones get 413 before they are buffered. */
  maxBodyBytes: positive.default(32 * 1024 * 1024),
  /** Time for a client to send its headers, and then its whole request. */
  requestTimeoutMs: milliseconds.default(30_000),
  /** A comment line is sent on a stream that has been silent for this long. */
  heartbeatMs: milliseconds.default(15_000),
  /** A client that takes nothing of what is ready for it for this long is cut off. */
  stallTimeoutMs: milliseconds.default(60_000),
  /** After SIGTERM: keep accepting for this long, so that load balancers see /readyz fail first. */
  drainDelayMs: millisecondsOrNone.default(0),
  /** After SIGTERM: running requests may take this long to finish. */
  drainTimeoutMs: milliseconds.default(30_000),
  /** Serve a non-loopback address although no API keys are configured. */
  allowUnauthenticated: z.boolean().default(false),
  cors: z.strictObject({ origins: z.array(z.string()).default([]) }).prefault({}),
});

/** Others than those on the machine can reach it, and nothing in front checks who they are. */
export function isExposed({ host, allowUnauthenticated }: z.infer<typeof listen>): boolean {
  const loopback = host === 'localhost' || host === '::1' || /^127\./.test(host);
  return !loopback && !allowUnauthenticated;
}
