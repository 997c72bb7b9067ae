import type { EngineConfig } from '../../config/engine.ts';
import type { EngineLimitLow, EngineSettingReduced } from '../core/event.ts';
import { type EngineFacts, mostBytes } from './engine-facts.ts';

/** Settings that do not hold what they seem to, as is seen when the model is there. */
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
