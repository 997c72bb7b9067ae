type Listener = () => void;

interface Audience {
  readonly listeners: Listener[];
  readonly tell: Listener;
}

const audiences = new WeakMap<AbortSignal, Audience>();

/**
 * Calls it once the signal is aborted, unless `offAbort` comes first. All that listen to a signal this way are one listener to the signal itself,
 * which is costly to add and to remove: where one of them stays, as with a connection, the others come and go for little.
 *
 * @param signal Not aborted yet.
 */
export function onAbort(signal: AbortSignal, listener: Listener): void {
  const audience = audiences.get(signal);
  if (audience !== undefined) {
    audience.listeners.push(listener);
    return;
  }
  const listeners = [listener];
  const tell = () => {
    audiences.delete(signal);
    for (const each of listeners) each();
  };
  audiences.set(signal, { listeners, tell });
  signal.addEventListener('abort', tell, { once: true });
}

export function offAbort(signal: AbortSignal, listener: Listener): void {
  const audience = audiences.get(signal);
  if (audience === undefined) return;
  const { listeners, tell } = audience;
  const at = listeners.indexOf(listener);
  if (at >= 0) listeners.splice(at, 1);
  if (listeners.length > 0) return;
  audiences.delete(signal);
  signal.removeEventListener('abort', tell);
}
