import { OrtError } from './api.ts';
import { ProviderError } from './provider-error.ts';
import { probeProvider } from './provider-probe.ts';
import { type Machine, thisMachine } from './provider-requirements.ts';
import { CPU, type Provider, type ProviderName, type ProviderOptions, TRAITS } from './providers.ts';

/**
 * What `auto` tries, the best first. Neither TensorRT, which takes minutes to build its engines, nor CoreML, which has not the
 * operators of our decoders, is ever the better choice.
 */
const PREFERENCE: Partial<Record<NodeJS.Platform, readonly ProviderName[]>> = {
  linux: ['cuda', 'webgpu'],
  darwin: ['webgpu'],
  win32: ['cuda', 'webgpu', 'dml'],
};

export interface ProviderSearchOptions {
  readonly wanted: ProviderName | 'auto';
  readonly options?: ProviderOptions;
  readonly machine?: Machine;
  readonly probe?: (provider: Provider, machine: Machine) => void;
}

/**
 * Providers to load a model with, one after the other until one does:
 *
 *     for (const provider of search)
 *       try { return load(provider) } catch (error) { search.reject(provider, error) }
 *
 * Of `auto` the CPU is the last. A provider that is named is the only one.
 */
export class ProviderSearch {
  /** Why providers that `auto` would have preferred were not taken. */
  readonly passedOver: string[] = [];
  readonly #wanted: ProviderName | 'auto';
  readonly #options: ProviderOptions;
  readonly #machine: Machine;
  readonly #probe: (provider: Provider, machine: Machine) => void;

  constructor({ wanted, options = {}, machine, probe = probeProvider }: ProviderSearchOptions) {
    this.#wanted = wanted;
    this.#options = options;
    this.#machine = machine ?? thisMachine();
    this.#probe = probe;
  }

  /** Throws ProviderError where the provider that is named cannot be used. */
  *[Symbol.iterator](): Generator<Provider> {
    if (this.#wanted !== 'auto') {
      const provider = { name: this.#wanted, options: this.#options };
      this.#probe(provider, this.#machine);
      yield provider;
      return;
    }
    for (const name of PREFERENCE[this.#machine.platform] ?? []) {
      const provider = { name, options: this.#optionsFor(name) };
      try {
        if (!this.#machine.hasGpu())
          throw new ProviderError(name, 'no GPU is to be seen in /dev', 'Give the process access to it.');
        this.#probe(provider, this.#machine);
      } catch (error) {
        this.reject(provider, error);
        continue;
      }
      yield provider;
    }
    yield CPU;
  }

  /** A provider that did not work out. Throws `error` again where there is nothing else to try. */
  reject({ name }: Provider, error: unknown): void {
    const isOfProvider =
      error instanceof ProviderError || error instanceof OrtError || error instanceof RangeError;
    if (this.#wanted !== 'auto' || name === 'cpu' || !isOfProvider) throw error;
    const reason = error instanceof ProviderError ? error.missing : (error as Error).message.split('\n')[0]!;
    this.passedOver.push(`${name}: ${reason}`);
  }

  /** Those of the options that it takes. */
  #optionsFor(name: ProviderName): ProviderOptions {
    const { deviceId, memoryLimitBytes, libraryFolder } = this.#options;
    const takes = (option: 'deviceId' | 'memoryLimitBytes') => TRAITS[name].takes.includes(option);
    return {
      ...(libraryFolder === undefined ? {} : { libraryFolder }),
      ...(deviceId !== undefined && takes('deviceId') ? { deviceId } : {}),
      ...(memoryLimitBytes !== undefined && takes('memoryLimitBytes') ? { memoryLimitBytes } : {}),
    };
  }
}
