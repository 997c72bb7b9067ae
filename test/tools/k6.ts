import { join } from 'node:path';
import { pythonVenv } from './python.ts';

/** The k6 binary, version 1.1.0. Throws when it is not there; `pythonMissing` of python.ts tells beforehand. */
export function k6Path(): string {
  return join(pythonVenv(), 'bin', 'k6');
}
