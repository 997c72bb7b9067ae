import { type SpawnEngine, spawnEngine } from './engine-child.ts';
import { withFallback } from './provider-fallback.ts';
import type { ProviderWish } from './provider-info.ts';

/** Where an engine computes, as the gateway says it. */
export interface ProviderChoice extends Pick<ProviderWish, 'provider' | 'providerOptions'> {
  /** Variables of the process: what a driver needs. */
  readonly environment?: Readonly<Record<string, string>>;
}

export function providerWish({ provider, providerOptions }: ProviderChoice): ProviderWish {
  return {
    ...(provider === undefined ? {} : { provider }),
    ...(providerOptions === undefined ? {} : { providerOptions }),
  };
}

/** How the processes of an engine are started, unless it brings its own way. */
export function spawnFor<In, Out>(
  options: ProviderChoice & { readonly spawn?: SpawnEngine<In, Out> | undefined },
  program: URL,
): SpawnEngine<In, Out> {
  const spawn = options.spawn ?? ((events) => spawnEngine<In, Out>(events, program, options.environment));
  return options.provider === 'auto' ? withFallback(spawn) : spawn;
}
