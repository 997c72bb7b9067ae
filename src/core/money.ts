import type { Deployment, Price } from './deployment.ts';
import type { Usage } from './usage.ts';

/** Money is counted in whole nano-dollars, 10⁻⁹ USD, in numbers that hold nine million dollars exactly. */
export const NANO_USD_PER_USD = 1_000_000_000;

/** One USD per million tokens is a million pico-dollars, 10⁻¹² USD, per token. */
const PICO_USD_PER_TOKEN = 1_000_000;
const PICO_PER_NANO = 1_000n;
const MAX_NANO_USD = BigInt(Number.MAX_SAFE_INTEGER);

/** What one attempt used, beside its tokens. */
export interface Service {
  /** Until the reply ended. */
  readonly durationMs: number;
  readonly images?: number;
  readonly audioSeconds?: number;
}

/**
 * What a deployment's work costs, in whole nano-dollars; half a nano-dollar counts as one. Without a price per token: what its machine
 * costs in the time that the attempt took. Without either: nothing.
 */
export function costNanoUsd(
  { price, machineUsdPerHour }: Pick<Deployment, 'price' | 'machineUsdPerHour'>,
  usage: Usage,
  service: Service,
): number {
  if (price !== undefined) return nano(pricePicoUsd(price, usage, service));
  if (machineUsdPerHour === undefined) return 0;
  return nano(picoUsd(machineUsdPerHour / 3_600_000) * BigInt(Math.ceil(service.durationMs)));
}

function pricePicoUsd(price: Price, usage: Usage, { images = 0, audioSeconds = 0 }: Service): bigint {
  const cached = Math.min(usage.cachedPromptTokens, usage.promptTokens);
  return (
    tokensPicoUsd(usage.promptTokens - cached, price.inputUsdPerMTok) +
    tokensPicoUsd(cached, price.cachedInputUsdPerMTok) +
    tokensPicoUsd(usage.completionTokens, price.outputUsdPerMTok) +
    picoUsd(price.usdPerRequest ?? 0) +
    picoUsd(price.usdPerImage ?? 0) * BigInt(images) +
    picoUsd(price.usdPerAudioSecond ?? 0) * BigInt(Math.ceil(audioSeconds))
  );
}

function tokensPicoUsd(tokens: number, usdPerMTok: number): bigint {
  return BigInt(tokens) * BigInt(Math.round(usdPerMTok * PICO_USD_PER_TOKEN));
}

function picoUsd(usd: number): bigint {
  return BigInt(Math.round(usd * 1e12));
}

function nano(pico: bigint): number {
  const whole = (pico + PICO_PER_NANO / 2n) / PICO_PER_NANO;
  return Number(whole < MAX_NANO_USD ? whole : MAX_NANO_USD);
}
