import type { ModelProcess, ModelProcessEvents, SpawnModelProcess } from './model-process.ts';
import type { ProviderInfo, ProviderWish } from './provider-info.ts';

/** The messages that matter here; the rest goes through. */
type Outgoing = { readonly type: string; readonly options?: object };
type Incoming = { readonly type: string; readonly info?: object };

/**
 * Wraps a way to start model processes: after a crash on a GPU the next ones start on the CPU, so that a driver which kills
 * the process does not do so again and again. For `provider: auto`; it lasts until the model's backend is made anew.
 *
 * A crash is any end except one that was asked for, and a refusal that the process could still put in words. One before the
 * model was loaded counts, too: the process may have died trying the GPU.
 */
export function withFallback<In, Out>(spawn: SpawnModelProcess<In, Out>): SpawnModelProcess<In, Out> {
  let crash: string | undefined;
  return (events: ModelProcessEvents<Out>): ModelProcess<In> => {
    let provider: string | undefined;
    let expected = false;
    const child = spawn({
      onMessage: (message) => {
        const { type, info } = message as Incoming;
        if (type === 'ready') provider = (info as Partial<ProviderInfo>).provider;
        if (type === 'failed') expected = true;
        events.onMessage(message);
      },
      onExit: (detail) => {
        if (!expected && provider !== 'cpu') crash ??= crashText(provider, detail);
        events.onExit(detail);
      },
    });
    return {
      get pid() {
        return child.pid;
      },
      get unreadBytes() {
        return child.unreadBytes;
      },
      send(message) {
        const { type } = message as Outgoing;
        if (type === 'shutdown') expected = true;
        child.send(type === 'load' && crash !== undefined ? onCpu(message, crash) : message);
      },
      kill() {
        child.kill();
      },
    };
  };
}

/** Where a process died before it was ready, nobody knows whether it had got as far as a GPU. */
function crashText(provider: string | undefined, detail: string): string {
  return provider === undefined
    ? `a GPU: ${detail} before it told where it computes`
    : `${provider}: ${detail}`;
}

function onCpu<In>(message: In, crash: string): In {
  const { options } = message as Outgoing;
  const wish: ProviderWish = { provider: 'cpu', providerPassedOver: [crash] };
  return { ...message, options: { ...options, ...wish } };
}
