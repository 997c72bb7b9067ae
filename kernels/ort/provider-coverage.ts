import { ProviderError } from './provider-error.ts';
import type { Provider } from './providers.ts';
import type { OrtSession } from './session.ts';

/**
 * A provider leaves to the CPU what it has no kernel for: every step would then wait for copies to and fro.
 *
 * @param work Operators that are worth speaking of.
 * @param remedy What the operator of the gateway can do.
 * @throws ProviderError if some of them are left to the CPU
 */
export function assertRunsOn(
  { name }: Provider,
  session: OrtSession,
  work: readonly string[],
  remedy: string,
): void {
  if (name === 'cpu') return;
  const onCpu = session.operatorsOnCpu();
  const left = work.filter((operator) => onCpu.has(operator));
  if (left.length > 0)
    throw new ProviderError(
      name,
      `it has no kernel for the model's ${left.join(', ')}, which would run on the CPU`,
      remedy,
    );
}
