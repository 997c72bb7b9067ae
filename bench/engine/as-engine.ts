import { PROCESS_ENVIRONMENT } from '../../src/model-process/model-process.ts';

/** A command that runs a program as an engine process runs. `niceness`: 0 beside other contestants, an engine process's own beside its server. */
export function asEngine(program: readonly string[], niceness: number): string[] {
  const environment = Object.entries(PROCESS_ENVIRONMENT).map(([name, value]) => `${name}=${value}`);
  return ['nice', '-n', String(niceness), 'env', ...environment, ...program];
}
