import { join } from 'node:path';
import { loadCatalogue } from '../../config/catalogue.ts';
import { type EngineConfig, engineName } from '../../config/engine.ts';
import type { Config } from '../../config/schema.ts';
import type { EncoderTask } from '../core/encoder.ts';
import type { EngineLimitLow, EngineSettingReduced } from '../core/event.ts';
import type { EncoderInfo } from '../encoder/messages.ts';
import type { EngineInfo } from '../engine/messages.ts';
import { createEncoder, createGenerator, isEncoder } from '../local/engines.ts';
import { refuseForeignSettings } from '../local/foreign-settings.ts';
import { estimateQuestion } from '../local/local-models.ts';
import { memoryLimit } from '../local/memory-budget.ts';
import { estimateMemory, type MemoryEstimate, sizeText } from '../local/memory-estimate.ts';
import { settingDoubts } from '../local/setting-doubts.ts';
import { residentBytes } from '../model-process/process-memory.ts';
import { describeProvider } from '../model-process/provider-info.ts';
import { findModel } from '../models/fetch-model.ts';
import type { Check, Progress } from './check.ts';
import { describeFile } from './model-file.ts';
import { probeEncoder, probeGenerator } from './probe.ts';

const SECTION = 'local models';

/** Finds every local model, adds up what they may take, and lets each work for a second, one after the other. */
export async function checkLocalModels(config: Config, progress: Progress): Promise<Check[]> {
  const checks: Check[] = [];
  const estimates = new Map<string, MemoryEstimate>();
  for (const settings of config.engines) {
    const name = engineName(settings);
    progress(`looking for ${name}`);
    const found = await locate(settings, config.dataDir);
    if (typeof found !== 'string') {
      checks.push({ section: SECTION, name, status: 'failed', ...found });
      continue;
    }
    const problem = settingsProblem(settings, found);
    if (problem !== undefined) {
      checks.push({ section: SECTION, name, status: 'failed', ...problem });
      continue;
    }
    const estimate = await estimateMemory(estimateQuestion(settings, found));
    if (estimate !== undefined) estimates.set(name, estimate);
    progress(`loading ${name} and trying it for a second`);
    checks.push(await tryModel(settings, found, estimate));
  }
  if (config.engines.length > 0) checks.push(checkBudget(config, estimates));
  return checks;
}

/** The path, or why there is none. */
async function locate(
  { model, path }: EngineConfig,
  dataDir: string,
): Promise<string | Pick<Check, 'detail' | 'fix'>> {
  if (path !== undefined) {
    const problem = describeFile(path).problem;
    if (problem === undefined) return path;
    return {
      detail: problem,
      fix: 'Correct its path, or fetch a model of the catalogue with `qianmen pull`.',
    };
  }
  try {
    const found = await findModel({
      name: model ?? '',
      catalogue: loadCatalogue(),
      modelsDir: join(dataDir, 'models'),
    });
    if (found.missing.length === 0) return found.path;
    const detail = `not fetched yet: ${found.missing.join(', ')}`;
    return { detail, fix: `qianmen pull ${model} --data-dir ${dataDir}, or let the next start fetch it.` };
  } catch (error) {
    return {
      detail: (error as Error).message,
      fix: 'Remove the file and fetch it again with `qianmen pull`.',
    };
  }
}

function settingsProblem(settings: EngineConfig, path: string): Pick<Check, 'detail' | 'fix'> | undefined {
  try {
    refuseForeignSettings(settings, path);
    return undefined;
  } catch (error) {
    const fix = 'Correct its settings: the gateway does not start with them.';
    return { detail: (error as Error).message, fix };
  }
}

async function tryModel(
  settings: EngineConfig,
  path: string,
  estimate: MemoryEstimate | undefined,
): Promise<Check> {
  const name = engineName(settings);
  const encodes = isEncoder(settings, path);
  const limitBytes = settings.memoryLimitBytes ?? Number.POSITIVE_INFINITY;
  const surroundings = { emit: () => {}, memoryLimitBytes: () => limitBytes };
  const engine = encodes
    ? createEncoder(settings, path, surroundings)
    : createGenerator(settings, path, surroundings);
  const startedAtMs = performance.now();
  try {
    await engine.ready;
    const loadMs = Math.round(performance.now() - startedAtMs);
    const speed = 'run' in engine ? await probeGenerator(engine) : { texts: await probeEncoder(engine) };
    const facts = engine.info()!;
    const rssBytes = engine.pid === undefined ? undefined : residentBytes(engine.pid);
    const doubts = settingDoubts(name, settings, facts).map(doubtText);
    const speeds =
      'texts' in speed
        ? `${speed.texts} texts/s`
        : `reads ${speed.prefill} tok/s, writes ${speed.decode} tok/s alone and ${speed.decodeTogether} tok/s for ${speed.together} together`;
    return {
      section: SECTION,
      name,
      status: doubts.length > 0 ? 'warning' : 'ok',
      detail: [
        `${describeFile(path).text}${settings.model === undefined ? '' : ', verified'}`,
        `${description(facts)}; ${describeProvider(facts)}, ${facts.threads} threads, spinning ${settings.spinning ? 'on' : 'off'}`,
        `loaded in ${(loadMs / 1000).toFixed(1)} s; ${speeds}; ${rssBytes === undefined ? '' : `${sizeText(rssBytes)} in use`}`,
      ].join('\n'),
      ...(doubts.length > 0 ? { fix: doubts.join(' ') } : {}),
      facts: { ...facts, path, loadMs, speed, rssBytes, spinning: settings.spinning, estimate },
    };
  } catch (error) {
    return {
      section: SECTION,
      name,
      status: 'failed',
      detail: (error as Error).message,
      fix: 'Fetch the file again, or use another one.',
    };
  } finally {
    await engine.close();
  }
}

function doubtText(doubt: EngineSettingReduced | EngineLimitLow): string {
  if (doubt.type === 'engine-setting-reduced') return `${doubt.setting}: the model can do ${doubt.used}.`;
  return (
    `memoryLimitBytes: its process may come to take ${sizeText(doubt.expectedBytes)}, and is ended above ` +
    `${sizeText(doubt.memoryLimitBytes)}. Raise it, or give the model fewer slots, contextTokens or batchTokens or a smaller prefixCacheBytes.`
  );
}

function description(facts: EngineInfo | EncoderInfo): string {
  if ('task' in facts) return encoderDescription(facts);
  const { architecture, slots, contextTokens, kvBytes, prefixCacheBytes } = facts;
  return (
    `${architecture}, ${slots} slots of ${contextTokens} tokens: ${sizeText(kvBytes)} of KV memory, ` +
    `${sizeText(prefixCacheBytes)} for computed prompts`
  );
}

const OUTPUT_TEXTS: Readonly<Record<EncoderTask, (info: EncoderInfo) => string>> = {
  embed: ({ dimensions }) => `vectors of ${dimensions} numbers`,
  rerank: () => 'one score per document',
  classify: ({ labels }) => `the classes ${labels.join(', ')}`,
};

function encoderDescription(info: EncoderInfo): string {
  const { architecture, task, contextTokens, integers, lanes, rowsIndependent } = info;
  return [
    `${architecture} (${task}), inputs of ${contextTokens} tokens, ${OUTPUT_TEXTS[task](info)}`,
    ...(integers ? ['largely in 8-bit integers'] : []),
    ...(lanes > 0 ? [`up to ${lanes} batches side by side`] : []),
    ...(rowsIndependent ? [] : ['one text at a time, since in its graph texts show in each other']),
  ].join('; ');
}

function checkBudget(config: Config, estimates: ReadonlyMap<string, MemoryEstimate>): Check {
  const { bytes: budgetBytes, configured } = memoryLimit(config.memoryBudgetBytes);
  const bytesOf = (engines: readonly EngineConfig[]) =>
    engines.reduce((sum, engine) => sum + (estimates.get(engineName(engine))?.totalBytes ?? 0), 0);
  const startBytes = bytesOf(config.engines.filter(({ load }) => load === 'start'));
  const allBytes = bytesOf(config.engines);
  const over = startBytes > budgetBytes;
  return {
    section: SECTION,
    name: 'memory budget',
    status: over ? (configured ? 'failed' : 'warning') : 'ok',
    detail:
      `${sizeText(budgetBytes)}${configured ? '' : " (four fifths of the machine's)"}; models may come to take ${sizeText(startBytes)}` +
      `${allBytes > startBytes ? `, with those on demand ${sizeText(allBytes)}` : ''}`,
    ...(over
      ? {
          fix: 'Give models fewer slots, contextTokens or batchTokens or a smaller prefixCacheBytes, set load: demand, or raise memoryBudgetBytes.',
        }
      : {}),
    facts: { budgetBytes, configured, startBytes, allBytes, estimates: Object.fromEntries(estimates) },
  };
}
