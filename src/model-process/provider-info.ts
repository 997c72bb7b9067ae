import type { ProviderName, ProviderOptions } from '../../kernels/ort/providers.ts';

/** What a model process is told about where to compute. */
export interface ProviderWish {
  /** `auto` takes the best that works; default: the CPU. */
  readonly provider?: ProviderName | 'auto';
  readonly providerOptions?: ProviderOptions;
  /** Why the provider is not what the configuration says; see `withFallback`. */
  readonly providerPassedOver?: readonly string[];
}

/** What it answers. */
export interface ProviderInfo {
  /** Where the model computes. */
  readonly provider: string;
  /** Better ones, each with the reason for which it was passed over: `webgpu: libvulkan.so.1 cannot be loaded`. */
  readonly providersPassedOver: readonly string[];
}

/** For the log and for operators: `on webgpu`, `on cpu (not cuda: …; not webgpu: …)`. */
export function describeProvider({ provider, providersPassedOver = [] }: Partial<ProviderInfo>): string {
  const others = providersPassedOver.map((each) => `not ${each}`).join('; ');
  return others === '' ? `on ${provider ?? 'cpu'}` : `on ${provider} (${others})`;
}
