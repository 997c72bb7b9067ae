import type { Deployment, Price } from './deployment.ts';
import type { Usage } from './usage.ts';

/** Money is counted in whole nano-dollars, 10⁻⁹ USD, in numbers that hold nine million dollars exactly. */
export const NANO_USD_PER_USD = 1_000_000_000;

/** One USD per million tokens is a million pico-dollars, 10⁻¹² USD, per token. */
const PICO_USD_PER_TOKEN = 1_000_000;
const PICO_PER_NANO = 1_000n;
const MS_PER_HOUR = 3_600_000n;
const MAX_NANO_USD = BigInt(Number.MAX_SAFE_INTEGER);
/** Sums of whole numbers up to this are exact in doubles, and so is what they are rounded to after a division. */
const EXACT_PICO_USD = 2 ** 50;

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
  if (price !== undefined) return priceNanoUsd(price, usage, service);
  if (machineUsdPerHour === undefined) return 0;
  return nano(product(Math.ceil(service.durationMs), wholePicoUsd(machineUsdPerHour)), MS_PER_HOUR);
}

function priceNanoUsd(price: Price, usage: Usage, { images = 0, audioSeconds = 0 }: Service): number {
  const cached = Math.min(usage.cachedPromptTokens, usage.promptTokens);
  const uncached = usage.promptTokens - cached;
  const seconds = Math.ceil(audioSeconds);
  const perUncached = tokenPicoUsd(price.inputUsdPerMTok);
  const perCached = tokenPicoUsd(price.cachedInputUsdPerMTok);
  const perCompletion = tokenPicoUsd(price.outputUsdPerMTok);
  const perRequest = wholePicoUsd(price.usdPerRequest ?? 0);
  const perImage = wholePicoUsd(price.usdPerImage ?? 0);
  const perSecond = wholePicoUsd(price.usdPerAudioSecond ?? 0);
  const pico =
    uncached * perUncached +
    cached * perCached +
    usage.completionTokens * perCompletion +
    perRequest +
    images * perImage +
    seconds * perSecond;
  if (pico <= EXACT_PICO_USD) return Math.floor((pico + 500) / 1_000);
  return nano(
    product(uncached, perUncached) +
      product(cached, perCached) +
      product(usage.completionTokens, perCompletion) +
      BigInt(perRequest) +
      product(images, perImage) +
      product(seconds, perSecond),
  );
}

function tokenPicoUsd(usdPerMTok: number): number {
  return Math.round(usdPerMTok * PICO_USD_PER_TOKEN);
}

function wholePicoUsd(usd: number): number {
  return Math.round(usd * 1e12);
}

function product(count: number, picoUsd: number): bigint {
  return BigInt(count) * BigInt(picoUsd);
}

/** @param parts How many of them make a pico-dollar. */
function nano(pico: bigint, parts = 1n): number {
  const perNano = PICO_PER_NANO * parts;
  const whole = (pico + perNano / 2n) / perNano;
  return Number(whole < MAX_NANO_USD ? whole : MAX_NANO_USD);
}
