import { ClientOfflineError, createClient } from '@redis/client';
import type { RedisTimes } from './redis-link.ts';

/** One connection to Redis, made again whenever it is gone. */
export interface RedisClient {
  connect(): Promise<unknown>;
  /** Rejects at once where there is no connection. */
  sendCommand(command: readonly string[]): Promise<unknown>;
  /** Whether an operation failed because there was no connection; it does not say why there was none. */
  isOffline(cause: unknown): boolean;
  destroy(): void;
}

const MAX_RECONNECT_MS = 1_000;

/** @param onError Told why there was no connection, each time that one could not be made or broke. */
export function newRedisClient(
  url: string,
  { heartbeatMs }: Pick<RedisTimes, 'heartbeatMs'>,
  onError: (error: unknown) => void,
): RedisClient {
  const client = createClient({
    url,
    RESP: 2,
    disableOfflineQueue: true,
    socket: {
      connectTimeout: 2_000,
      // Longer than any silence between heartbeats: a connection that leads nowhere is given up.
      socketTimeout: 2 * heartbeatMs + 2_000,
      reconnectStrategy: (retries) => Math.min(50 * 2 ** Math.min(retries, 10), MAX_RECONNECT_MS),
    },
  }).on('error', onError);
  return {
    connect: () => client.connect(),
    sendCommand: (command) => client.sendCommand(command),
    isOffline: (cause) => cause instanceof ClientOfflineError,
    destroy: () => client.destroy(),
  };
}
