import type { Deployment } from '../core/deployment.ts';

type AnyBackend = Deployment['backend'];

/** What a new configuration has changed, in words. */
export function changesText(
  before: readonly AnyBackend[],
  after: readonly AnyBackend[],
  modelsBefore: readonly string[],
  modelsAfter: readonly string[],
): string {
  const [old, now] = [before.map(({ name }) => name), after.map(({ name }) => name)];
  const kept = after.filter((backend) => before.includes(backend));
  const replaced = after.filter((backend) => old.includes(backend.name) && !kept.includes(backend));
  const list = (names: readonly string[]) => names.join(', ') || 'none';
  const without = (names: readonly string[], others: readonly string[]) =>
    list(names.filter((name) => !others.includes(name)));
  return [
    `backends kept: ${list(kept.map(({ name }) => name))}`,
    `replaced: ${list(replaced.map(({ name }) => name))}`,
    `added: ${without(now, old)}`,
    `removed: ${without(old, now)}`,
    `models added: ${without(modelsAfter, modelsBefore)}`,
    `removed: ${without(modelsBefore, modelsAfter)}`,
  ].join('; ');
}
