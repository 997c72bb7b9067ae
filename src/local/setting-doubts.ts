import type { EngineConfig } from '../../config/engine.ts';
import type { EngineLimitLow, EngineSettingReduced } from '../core/event.ts';
import { type EngineFacts, mostBytes } from './engine-facts.ts';

/** Settings that turn out not to do what they seem to, once the model is loaded. */
export function settingDoubts(
  engine: string,
  settings: EngineConfig,
  facts: EngineFacts,
): readonly (EngineSettingReduced | EngineLimitLow)[] {
  const doubts: (EngineSettingReduced | EngineLimitLow)[] = [];
  const { contextTokens: configured, memoryLimitBytes } = settings;
  const { contextTokens: used } = facts;
  if (configured !== undefined && used < configured)
    doubts.push({ type: 'engine-setting-reduced', engine, setting: 'contextTokens', configured, used });
  const expectedBytes = mostBytes(facts);
  if (memoryLimitBytes !== undefined && memoryLimitBytes < expectedBytes)
    doubts.push({ type: 'engine-limit-low', engine, memoryLimitBytes, expectedBytes });
  return doubts;
}
