import { throwLater } from './throw-later.ts';

type Listener = () => void;

interface Audience {
  readonly listeners: Listener[];
  readonly tell: Listener;
}

const audiences = new WeakMap<AbortSignal, Audience>();

/**
 * Calls `listener` when the signal aborts; at once if it has already. All listeners of a signal share one event
 * listener, as adding and removing those is slow. One that throws, or is removed while the others are told, changes
 * nothing for them.
 */
export function onAbort(signal: AbortSignal, listener: Listener): void {
  if (signal.aborted) {
    listener();
    return;
  }
  const audience = audiences.get(signal);
  if (audience !== undefined) {
    audience.listeners.push(listener);
    return;
  }
  const listeners = [listener];
  const tell = () => {
    for (let each = listeners.shift(); each !== undefined; each = listeners.shift()) {
      try {
        each();
      } catch (error) {
        throwLater(error);
      }
    }
    audiences.delete(signal);
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
