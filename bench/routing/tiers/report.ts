import { type Curve, lostAt, meanGapClosed, pointAt, savedAt } from './curve.ts';

export interface SetResult {
  readonly set: string;
  readonly questions: number;
  readonly curves: readonly { readonly judge: string; readonly curve: Curve }[];
}

const THRESHOLDS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7];
const SHIPPED = ['features (default)', 'embedding'];
const SWEEP = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

/** In Markdown. */
export function report(results: readonly SetResult[]): string {
  return `# Easy and hard requests: what is saved against what is lost

Written by \`run.ts\`; README.md tells how. GPT-4 Turbo answers what is judged hard, Mixtral 8x7B the rest; every threshold is one point
of a curve. The goal is 40 % of the cost saved at 1 % of quality lost. **No judge here that sees the question alone reaches it**,
by either reading of "1 %": one of 100 marks, or of what the strong model scores. RouteLLM's own figure is the mean share of the gap between both
models that is closed (APGR); chance closes half. "Embedding, per prompt token" sends questions to the weak model that are dear rather than easy: it
saves more, and is no classifier of difficulty. The features were fitted to nothing. The embedding's weights were fitted to other questions of gsm8k and MMLU
than the ones here, and to 66 requests of everyday; two constants were chosen by MT-bench, whose marks a judge gave and whose 80 questions are few.
Its encoder reads English; questions in other languages are better left to the features.
${results.map(section).join('')}`;
}

function section({ set, questions, curves }: SetResult): string {
  const { weak, strong } = curves[0]!.curve;
  const gap = strong - weak;
  const reading: readonly [string, (curve: Curve) => string][] = [
    ['saved, 1 mark lost', (curve) => percent(savedAt(curve, 0.01))],
    ['saved, 1 % lost', (curve) => percent(savedAt(curve, 0.01 * strong))],
    ['saved, 20 % of gap lost', (curve) => percent(savedAt(curve, 0.2 * gap))],
    ['saved, 50 % of gap lost', (curve) => percent(savedAt(curve, 0.5 * gap))],
    ['marks lost, 40 % saved', (curve) => marks(lostAt(curve, 0.4))],
    ['mean gap closed', (curve) => meanGapClosed(curve).toFixed(3)],
  ];
  const readings = table(
    ['', ...reading.map(([name]) => name)],
    curves.map(({ judge, curve }) => [judge, ...reading.map(([, read]) => read(curve))]),
  );
  const sweep = table(
    ['marks lost at', ...SWEEP.map((saved) => percent(saved))],
    curves.map(({ judge, curve }) => [judge, ...SWEEP.map((saved) => marks(lostAt(curve, saved)))]),
  );
  const thresholds = table(
    ['`threshold`', ...THRESHOLDS.map(String)],
    curves
      .filter(({ judge }) => SHIPPED.includes(judge))
      .map(({ judge, curve }) => [
        judge,
        ...THRESHOLDS.map((threshold) => {
          const { saved, quality } = pointAt(curve, threshold);
          return `${percent(saved)} for ${marks(strong - quality)}`;
        }),
      ]),
  );
  return `
## ${set}: ${questions.toLocaleString('en')} questions

Of 100 marks always strong gets ${(100 * strong).toFixed(1)}, always weak ${(100 * weak).toFixed(1)}, for ${percent(curves[0]!.curve.points.at(-1)!.saved)} less.

${readings}
${sweep}
${thresholds}`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`;
  return line(head) + line(head.map((_, i) => (i === 0 ? '---' : '--:'))) + rows.map(line).join('');
}

function percent(share: number): string {
  return `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
}

function marks(quality: number): string {
  return Number.isFinite(quality) ? (100 * quality).toFixed(1) : '–';
}
