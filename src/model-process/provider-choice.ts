import { type SpawnModelProcess, spawnModelProcess } from './model-process.ts';
import { withFallback } from './provider-fallback.ts';
import type { ProviderWish } from './provider-info.ts';

/** Where a model is to be computed, as the configuration says it. */
export interface ProviderChoice extends Pick<ProviderWish, 'provider' | 'providerOptions'> {
  /** Environment variables of the process: what a driver needs. */
  readonly environment?: Readonly<Record<string, string>>;
}

export function providerWish({ provider, providerOptions }: ProviderChoice): ProviderWish {
  return {
    ...(provider === undefined ? {} : { provider }),
    ...(providerOptions === undefined ? {} : { providerOptions }),
  };
}

/** How a model's processes are started: `program`, unless the options bring their own way. */
export function spawnFor<In, Out>(
  options: ProviderChoice & { readonly spawn?: SpawnModelProcess<In, Out> | undefined },
  program: URL,
): SpawnModelProcess<In, Out> {
  const spawn =
    options.spawn ?? ((events) => spawnModelProcess<In, Out>(events, program, options.environment));
  return options.provider === 'auto' ? withFallback(spawn) : spawn;
}
