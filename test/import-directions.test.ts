import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/** The arrows of ARCHITECTURE.md: which folders and files each part may import beside itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  kernels: [],
  routers: [],
  config: ['src/core', 'routers/policies.ts'],
  'src/privacy': [],
  'src/difficulty': ['src/core'],
  'src/simulation': ['routers'],
  'src/decisions': ['src/core', 'routers'],
  'src/access': ['src/core', 'src/store'],
  'src/admission': ['src/core', 'src/gateway/request/admission.ts'],
  'src/ledger': ['src/core', 'src/store', 'src/api/usage-reader.ts'],
  'src/store': ['src/core', 'routers'],
  'src/core': [],
  'src/api': ['src/core', 'src/gateway', 'config'],
  'src/front': ['src/api', 'src/core', 'config'],
  'src/gateway': ['src/core', 'routers', 'src/difficulty', 'src/privacy'],
  'src/model-process': ['src/core', 'kernels'],
  'src/engine': ['src/core', 'src/model-process', 'kernels'],
  'src/encoder': ['src/core', 'src/model-process', 'kernels'],
  'src/upstream': ['src/core'],
  'src/local': ['config', 'src/core', 'src/engine', 'src/encoder', 'src/model-process', 'kernels'],
  'src/fleet': [
    'config',
    'src/core',
    'routers',
    'src/api/admin',
    'src/gateway',
    'src/difficulty',
    'src/local',
    'src/upstream',
  ],
  'src/models': ['config', 'src/core'],
  'src/telemetry': ['src/core'],
};

/** What the folders within a part may import of that part beside themselves; the files that lie beside them, all of it. */
const MAY_IMPORT_WITHIN: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  'src/gateway': {
    request: [],
    line: ['request'],
    backend: [],
    headroom: ['request', 'backend'],
    trials: ['backend'],
    placement: ['request', 'line', 'backend', 'headroom', 'trials'],
  },
  'src/upstream': {
    wire: [],
    errors: ['wire'],
    request: ['wire'],
    http: ['errors'],
    tap: ['wire', 'errors'],
    reply: ['wire', 'errors', 'http', 'tap'],
    health: ['wire', 'http'],
  },
};

/** They put the others together, as do the files that lie beside the folders of `src`. */
const MAY_IMPORT_ALL = ['src/cli', 'src/doctor'];

/** Where tests get numbers that are the same in every run. */
const SEEDED = 'src/simulation/random.ts';

/** Hono is loaded when it is first needed, and the relay speaks HTTP itself. */
const IMPORTED_BY: Readonly<Record<string, readonly string[]>> = {
  hono: ['src/hono-router.ts', 'src/api'],
  undici: ['src/cli', 'src/doctor', 'src/models'],
};

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*'([^']+)'/g;

/** Paths from the root; where a package is imported, its name. */
interface Import {
  readonly file: string;
  readonly target: string;
}

const IMPORTS: readonly Import[] = globSync('{kernels,routers,config,src}/**/*.ts', { cwd: ROOT }).flatMap(
  (file) =>
    [...readFileSync(join(ROOT, file), 'utf8').matchAll(IMPORT)].map(([, name = '']) => ({
      file,
      target: name.startsWith('.') ? relative(ROOT, join(ROOT, dirname(file), name)) : name,
    })),
);

const isIn = (path: string) => (place: string) => path === place || path.startsWith(`${place}/`);
const shown = ({ file, target }: Import) => `${file} → ${target}`;

it.each(Object.entries(MAY_IMPORT))('%s imports only what it may', (part, others) => {
  const own = IMPORTS.filter(({ file }) => isIn(file)(part));
  expect(own).not.toEqual([]);
  const isOurs = ({ target }: Import) => /^(?:kernels|routers|config|src)\//.test(target);
  const may = ({ file, target }: Import) =>
    [part, ...others].some(isIn(target)) || (target === SEEDED && file.endsWith('.test.ts'));
  const wrong = own.filter((one) => isOurs(one) && !may(one));
  expect(wrong.map(shown)).toEqual([]);
});

describe.each(Object.entries(MAY_IMPORT_WITHIN))('within %s', (part, folders) => {
  const own = IMPORTS.filter(({ file }) => isIn(file)(part));

  it.each(Object.entries(folders))('%s imports only what it may', (folder, others) => {
    const may = [folder, ...others].map((name) => `${part}/${name}`);
    const wrong = own.filter(
      ({ file, target }) => isIn(file)(`${part}/${folder}`) && isIn(target)(part) && !may.some(isIn(target)),
    );
    expect(wrong.map(shown)).toEqual([]);
  });

  it('names every folder', () => {
    const found = own.map(({ file }) => relative(part, dirname(file))).filter((folder) => folder !== '');
    expect([...new Set(found)].sort()).toEqual(Object.keys(folders).sort());
  });
});

it('names every folder of the source', () => {
  const folders = IMPORTS.map(({ file }) => /^(?:src\/)?[^/]+(?=\/)/.exec(file)![0]).filter(
    (folder) => folder !== 'src',
  );
  expect([...new Set(folders)].sort()).toEqual([...Object.keys(MAY_IMPORT), ...MAY_IMPORT_ALL].sort());
});

it.each(Object.entries(IMPORTED_BY))('the package %s is imported only where it may be', (name, places) => {
  const users = IMPORTS.filter(({ target }) => isIn(target)(name));
  expect(users).not.toEqual([]);
  expect(users.filter(({ file }) => !places.some(isIn(file))).map(shown)).toEqual([]);
});
