import { fileURLToPath } from 'node:url';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export const root = here('../../');
export const peersFolder = here('./');
/** Everything that is installed or built; git ignores it. */
export const cacheFolder = here('./.cache/');
