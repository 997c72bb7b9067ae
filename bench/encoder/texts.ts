const WORDS =
  'the model reads a question about invoices shipping passwords refunds batteries travel weather music history science and answers with care whenever somebody asks for help in the evening or before work starts'.split(
    ' ',
  );

export type Corpus = 'queries' | 'mixed';

/** Queries have 3–12 words. Mixed: half queries, a third of 20–60 words, the rest of 80–160, as a document store sends them. */
export function texts(count: number, corpus: Corpus): string[] {
  let state = 42;
  const random = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state / 2 ** 32;
  };
  return Array.from({ length: count }, () => {
    const kind = corpus === 'queries' ? 0 : random();
    const [least, most] = kind < 0.5 ? [3, 12] : kind < 0.83 ? [20, 60] : [80, 160];
    const length = least + Math.floor(random() * (most - least + 1));
    return Array.from({ length }, () => WORDS[Math.floor(random() * WORDS.length)]).join(' ');
  });
}
