import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ggufTokenizer } from './gguf-tokenizer.ts';
import { hubTokenizer } from './hub-tokenizer.ts';
import { mergePairs } from './pair-merger.ts';
import { RequestGrammars } from './request-grammars.ts';
import { Tokenizer } from './tokenizer.ts';

/** Made by the script beside it. */
const FIXTURE = new URL('../../test/fixtures/tokenizers/sentencepiece.json', import.meta.url);

type Kind = 'prepend' | 'first' | 'plain';
interface Recorded {
  readonly tokens: readonly string[];
  readonly scores: readonly number[];
  readonly types: readonly number[];
  readonly merges: readonly (readonly [string, string])[];
  readonly files: Readonly<Record<Kind, { readonly model: object }>>;
  readonly cases: readonly (Readonly<Record<Kind | 'gguf', readonly number[]>> & { readonly text: string })[];
}
const recorded: Recorded = JSON.parse(readFileSync(FIXTURE, 'utf8'));
const { tokens, scores, types, merges, files, cases } = recorded;

function gguf(changes: Readonly<Record<string, unknown>> = {}): Tokenizer {
  const metadata = {
    'tokenizer.ggml.model': 'llama',
    'tokenizer.ggml.tokens': tokens,
    'tokenizer.ggml.scores': scores,
    'tokenizer.ggml.token_type': types,
    ...changes,
  };
  return new Tokenizer(ggufTokenizer(new Map(Object.entries(metadata))));
}

function hub(kind: Kind, changes: object = {}): Tokenizer {
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const file = files[kind];
  const tokenizer = { ...file, model: { ...file.model, vocab, merges }, ...changes };
  return new Tokenizer(hubTokenizer({ tokenizer, tokenizerConfig: {}, generationConfig: {}, config: {} }));
}

const plain = (text: string) => gguf().encode(text, { control: false });
const [newline, a] = ['<0x0A>', 'a'].map((token) => tokens.indexOf(token));
const named = cases.map((each) => [JSON.stringify(each.text), each] as const);

test.each(named)('%s becomes what llama.cpp makes of it', (_, { text, gguf: expected }) => {
  expect(gguf().encode(text, { control: true })).toEqual(expected);
});

describe.each(['prepend', 'first', 'plain'] as const)('a tokenizer.json of the kind "%s"', (kind) => {
  const tokenizer = hub(kind);
  test.each(named)(
    "gives the tokens of Hugging Face's tokenizers for %s",
    (_, { text, [kind]: expected }) => {
      expect(tokenizer.encode(text, { control: true })).toEqual(expected);
    },
  );
});

describe('any text survives encoding and decoding', () => {
  // Behind special tokens some write spaces that were not there.
  const special = ['<think>', '\n\n', '    '];
  const text = fc
    .string({ unit: 'grapheme' })
    .filter((each) => !special.some((token) => each.includes(token)));
  const spaced = fc.array(fc.oneof(text, fc.constantFrom(' ', '  ', '\n'))).map((all) => all.join(''));
  test.each([
    ['GGUF', gguf()],
    ['prepend', hub('prepend')],
    ['plain', hub('plain')],
  ])('%s', (_, tokenizer) => {
    fc.assert(
      fc.property(spaced, (whole) => {
        fc.pre(!whole.includes('▁') && !special.some((token) => whole.includes(token)));
        expect(tokenizer.decode(tokenizer.encode(whole, { control: false }))).toBe(whole);
      }),
    );
  });
});

test('cutting a text into words changes nothing', () => {
  const pieces = fc.constantFrom(...tokens.slice(259), ' ', '  ', 'x', '🎉');
  const description = ggufTokenizer(
    new Map<string, unknown>([
      ['tokenizer.ggml.model', 'llama'],
      // A token across the end of a word: there no text is cut.
      ['tokenizer.ggml.tokens', [...tokens, 'e▁t', 'he▁t']],
      ['tokenizer.ggml.scores', [...scores, 1, 2]],
      ['tokenizer.ggml.token_type', [...types, 1, 1]],
    ]),
  );
  const tokenizer = new Tokenizer(description);
  const ids = new Map(description.entries.map((entry, id) => [entry, id]));
  const allScores = [...scores, 1, 2];
  fc.assert(
    fc.property(fc.array(pieces, { minLength: 1 }), (all) => {
      const text = all.join('').replaceAll('▁', ' ');
      fc.pre(!['<', '\n\n', '    '].some((special) => text.includes(special)));
      const whole: string[] = [];
      mergePairs(
        ` ${text}`.replaceAll(' ', '▁'),
        (character) => ids.get(character) ?? -1,
        (_left, _right, both) => {
          const id = ids.get(both);
          return id === undefined ? undefined : { id, rank: -allScores[id]! };
        },
        (_, token) => whole.push(token),
      );
      const parts = tokenizer.encode(text, { control: false }).map((id) => description.entries[id]!);
      expect(parts.filter((part) => !part.startsWith('<0x'))).toEqual(whole.filter((part) => ids.has(part)));
    }),
  );
});

test('what a token shows in the middle of a reply has its space; a text as a whole does not begin with the mark of one', () => {
  const [the] = plain('the');
  expect(Buffer.from(gguf().textBytes(the!)).toString()).toMatch(/^ t/);
  expect(gguf().decode(plain('the door'))).toBe('the door');
});

test('byte tokens are bytes of characters, not text', () => {
  const ids = plain('🎉').slice(1);
  expect(ids).toHaveLength(4);
  expect(ids.map((id) => gguf().textBytes(id)[0])).toEqual([...Buffer.from('🎉')]);
  expect([...gguf().textBytes(newline!)]).toEqual([10]);
  expect(plain('<0x0A>')).not.toContain(newline);
});

describe('a space before a text', () => {
  test('is there unless the file says otherwise', () => {
    expect(gguf({ 'tokenizer.ggml.add_space_prefix': false }).encode('a', { control: false })).toEqual([a]);
    expect(plain('a')).toEqual([tokens.indexOf('▁a')]);
  });

  test('is before the first text of a prompt alone where the file says so', () => {
    const tokenizer = hub('first');
    expect(tokenizer.encode('a', { control: false })).toEqual([tokens.indexOf('▁a')]);
    expect(tokenizer.encode('a', { control: false, continued: true })).toEqual([a]);
  });
});

test('what the file leaves out is as llama.cpp takes it', () => {
  const { addBos, bosId, eosId, endIds } = gguf();
  expect({ addBos, bosId, eosId }).toEqual({ addBos: true, bosId: 1, eosId: 2 });
  // <|end|> ends a reply, too.
  expect([...endIds].sort()).toEqual([2, tokens.indexOf('<|end|>')]);
});

test('what ends a reply is no text, even if the file says so', () => {
  const asText = gguf({
    'tokenizer.ggml.token_type': types.map((type, id) => (tokens[id] === '<|end|>' ? 4 : type)),
  });
  expect(asText.encode('<|end|>', { control: false })).not.toContain(tokens.indexOf('<|end|>'));
});

test('white space behind the special tokens of Phi 3 belongs to them', () => {
  const ids = gguf({ 'general.architecture': 'phi3' }).encode('<|end|>\n the', { control: true });
  expect(ids).toEqual([tokens.indexOf('<|end|>'), ...plain('the')]);
});

test('a character that no byte tokens can spell is unknown', () => {
  const without = gguf({
    'tokenizer.ggml.token_type': types.map((type) => (type === 6 ? 1 : type)),
  });
  expect(without.encode('🎉', { control: false }).at(-1)).toBe(tokens.indexOf('<unk>'));
});

test.each<[string, object, string]>([
  ['another normaliser', { normalizer: { type: 'NFKC' } }, '"NFKC"'],
  ['spaces that stay', { normalizer: null, pre_tokenizer: null }, 'spaces'],
  [
    'words cut apart',
    { normalizer: null, pre_tokenizer: { type: 'Metaspace', replacement: '▁', split: true } },
    'split',
  ],
])('a tokenizer.json with %s is refused by name', (_, changes, message) => {
  expect(() => hub('prepend', changes)).toThrow(message);
});

test('a grammar is followed through byte tokens and spaces of tokens', async () => {
  const tokenizer = gguf({ 'tokenizer.ggml.add_space_prefix': false });
  const model = { tokenizer, template: undefined, contextTokens: 64 };
  const structure = { kind: 'regex', pattern: 'the (door|🎉)', param: 'guided_regex' } as const;
  const request = { structure, tools: [], toolChoice: 'none', parallelToolCalls: true } as const;
  const newConstraint = await new RequestGrammars(model, tokenizer.vocabularySize).compile(request)!;
  const follow = (text: string) => {
    const constraint = newConstraint();
    const accepted = tokenizer.encode(text, { control: false }).every((id) => constraint.accept(id));
    return { accepted, complete: constraint.mustEnd };
  };
  expect(follow('the 🎉')).toEqual({ accepted: true, complete: true });
  expect(follow('the door')).toEqual({ accepted: true, complete: true });
  expect(follow('the dog').accepted).toBe(false);
});

test('a long text without spaces takes no longer than its length allows', () => {
  const text = 'the'.repeat(20_000);
  expect(gguf().decode(plain(text))).toBe(text);
});
