import { type Asked, askedOf } from './asked.ts';
import type { DifficultyClassifier } from './classifier.ts';

/**
 * What makes a request hard, each from 0 to 1, and how much it weighs. Set by judgement, not learnt from one benchmark:
 * weights that were learnt on exam questions know exams.
 */
const FEATURES: readonly { readonly weight: number; measure(asked: Asked): number }[] = [
  // The question: 40 characters are small talk, 4,000 a task.
  {
    weight: 1.6,
    measure: ({ question }) => between(Math.log(question.length + 1), Math.log(40), Math.log(4_000)),
  },
  // All there is to be read.
  {
    weight: 1.2,
    measure: ({ sizeChars }) => between(Math.log(sizeChars + 1), Math.log(500), Math.log(50_000)),
  },
  // A long conversation refers back to itself.
  { weight: 0.8, measure: ({ turns }) => between(turns, 1, 10) },
  { weight: 2, measure: ({ question }) => between(count(question, CODE), 0, 2) },
  { weight: 1.8, measure: ({ question }) => between(count(question, MATHS), 0, 4) },
  { weight: 1.8, measure: ({ question }) => between(count(question, REASONING), 0, 2) },
  // Several things are asked at once.
  { weight: 0.8, measure: ({ question }) => between(count(question, PARTS), 1, 5) },
  // Long words are terms of some trade.
  {
    weight: 0.8,
    measure: ({ question }) => between(count(question, LONG_WORD) / (count(question, WORD) + 1), 0.05, 0.3),
  },
  { weight: 1.5, measure: ({ tools }) => (tools ? 1 : 0) },
  { weight: 0.8, measure: ({ structured }) => (structured ? 1 : 0) },
];

/** A request with none of them is easy: 0.08. */
const BIAS = -2.4;

const CODE =
  /```|\b(?:function|class|def|import|SELECT|public static|#include|npm|pip|stack ?trace|regex|SQL|API|bug|refactor|compile[rs]?)\b|[{};]\s*\n|=>|\(\)|代码|函数|报错|编译|脚本/g;
const MATHS =
  /\\(?:frac|sum|int|sqrt|begin)|[=<>≤≥±×÷∑∫√^]|\d+(?:\.\d+)?\s*[-+*/%]\s*\d|\b(?:equation|integral|derivative|probability|percent|solve|calculate|how many|how much)\b|方程|积分|导数|概率|计算|多少/gi;
const REASONING =
  /\b(?:why|prove|derive|analy[sz]e|compare|explain|evaluate|design|plan|trade-?offs?|step by step|optimi[sz]e|critique|argue|diagnose|contrast)\b|为什么|证明|推导|分析|比较|设计|规划|步骤|优化|评价|论述|诊断/gi;
const PARTS = /[?？]|^\s*(?:\d+[.)、]|[-*•])\s/gm;
const WORD = /[A-Za-z]{2,}/g;
const LONG_WORD = /[A-Za-z]{10,}/g;

/** Judges by what can be counted: length, code, maths, reasoning, tools and depth, in English and Chinese. Microseconds. */
export const featureClassifier: DifficultyClassifier = {
  judge(request) {
    const asked = askedOf(request);
    const logit = FEATURES.reduce((sum, { weight, measure }) => sum + weight * measure(asked), BIAS);
    return { difficulty: 1 / (1 + Math.exp(-logit)), by: 'features-1' };
  },
};

function between(value: number, none: number, full: number): number {
  return Math.min(1, Math.max(0, (value - none) / (full - none)));
}

function count(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0;
}
