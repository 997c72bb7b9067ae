import { describe, expect, it } from 'vitest';
import { filesOf, loadCatalogue, parseCatalogue } from './catalogue.ts';

const SHA = 'a'.repeat(64);

function catalogueText(changes: Record<string, unknown> = {}): string {
  const model = {
    title: 'Tiny',
    architecture: 'llama',
    quantization: 'Q8_0',
    licence: 'MIT',
    contextTokens: 128,
    sizeBytes: 10,
    sha256: SHA,
    sources: [{ hub: { repository: 'o/r', revision: 'main', file: 'f.gguf' } }],
    ...changes,
  };
  return JSON.stringify({ models: { tiny: model } });
}

describe('the shipped catalogue', () => {
  const models = loadCatalogue();

  it('is valid and pins every file by size and SHA-256', () => {
    expect(models.size).toBeGreaterThanOrEqual(5);
    for (const [name, entry] of models)
      for (const file of filesOf(entry)) expect(file.sha256, name).toMatch(/^[0-9a-f]{64}$/);
  });

  it('pins every hub file to a commit', () => {
    for (const [name, entry] of models)
      for (const source of filesOf(entry).flatMap((file) => file.sources))
        if ('hub' in source) expect(source.hub.revision, name).toMatch(/^[0-9a-f]{40}$/);
  });

  it('has the default model from the hub first, then from the Python index', () => {
    const [file] = filesOf(models.get('smollm2-135m-instruct')!);
    const kinds = file?.sources.map((source) => Object.keys(source)[0]);
    expect(kinds).toEqual(['hub', 'pypi']);
  });

  it('calls only the files that this project runs tried', () => {
    const tried = [...models].filter(([, entry]) => !entry.untried).map(([name]) => name);
    expect(tried).toEqual(['smollm2-135m-instruct', 'all-minilm-l6-v2']);
  });
});

describe('a catalogue', () => {
  it.each([
    ['an unknown key', { licens: 'MIT' }, 'licens'],
    ['a short digest', { sha256: 'abc' }, 'sha256'],
    ['an unknown architecture', { architecture: 'mamba' }, 'architecture'],
    ['no source', { sources: [] }, 'sources'],
    ['no digest on a tried entry', { sha256: null }, 'untried: true'],
    [
      'a file outside its repository',
      { sources: [{ hub: { repository: 'o/r', revision: 'main', file: '../f.gguf' } }] },
      'sources',
    ],
    [
      'no digest and a source that states none',
      {
        sha256: null,
        untried: true,
        sources: [
          { pypi: { package: 'p', version: '1', wheelSha256: SHA, wheelSizeBytes: 9, member: 'm.gguf' } },
        ],
      },
      'only come from a hub',
    ],
  ])('is refused with %s, and the error says where', (_what, changes, where) => {
    expect(() => parseCatalogue(catalogueText(changes))).toThrow(where);
  });

  it('may leave the digest to the hub where the entry says that it is untried', () => {
    const models = parseCatalogue(catalogueText({ sha256: null, untried: true }));
    expect(filesOf(models.get('tiny')!)[0]?.sha256).toBeNull();
  });

  it('refuses names that could not be file names', () => {
    expect(() => parseCatalogue(catalogueText().replace('"tiny"', '"../tiny"'))).toThrow('models');
  });
});
