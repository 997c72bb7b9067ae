import { chooseOrtLibrary } from '../../kernels/ort/library.ts';
import { ProviderError } from '../../kernels/ort/provider-error.ts';
import { ProviderSearch } from '../../kernels/ort/provider-search.ts';
import type { Provider } from '../../kernels/ort/providers.ts';
import type { ProviderInfo, ProviderWish } from './provider-info.ts';

/**
 * Loads a model on the provider that is wished for, or on the best that works. Throws ProviderError where the one that is
 * named does not, and whatever `load` throws that is not about the provider.
 */
export async function onProvider<T>(
  wish: ProviderWish,
  load: (provider: Provider) => T | Promise<T>,
): Promise<{ loaded: T } & ProviderInfo> {
  const { provider: wanted = 'cpu', providerOptions, providerPassedOver = [] } = wish;
  try {
    if (providerOptions?.libraryFolder !== undefined) chooseOrtLibrary(providerOptions.libraryFolder);
  } catch (cause) {
    const remedy = 'Correct `libraryFolder` under `providerOptions`, or leave it out.';
    throw new ProviderError(wanted, (cause as Error).message, remedy, { cause });
  }
  const search = new ProviderSearch({
    wanted,
    ...(providerOptions === undefined ? {} : { options: providerOptions }),
  });
  for (const provider of search) {
    try {
      const loaded = await load(provider);
      const providersPassedOver = [...providerPassedOver, ...search.passedOver];
      return { loaded, provider: provider.name, providersPassedOver };
    } catch (error) {
      search.reject(provider, error);
    }
  }
  throw new Error('no provider is left, not even the CPU');
}
