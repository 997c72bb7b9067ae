import type { ProviderName } from './providers.ts';

/** A provider that cannot be used: what is missing, and what would help. */
export class ProviderError extends Error {
  override readonly name = 'ProviderError';
  readonly provider: ProviderName | 'auto';
  readonly missing: string;
  readonly remedy: string;

  constructor(provider: ProviderName | 'auto', missing: string, remedy: string, options?: ErrorOptions) {
    super(`The provider ${provider} cannot be used: ${missing}. ${remedy}`, options);
    this.provider = provider;
    this.missing = missing;
    this.remedy = remedy;
  }
}
