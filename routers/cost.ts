import type { Candidate, Usd } from './candidate.ts';
import { type Media, NO_MEDIA } from './request.ts';

/**
 * What a request is expected to cost at a deployment: tokens at the provider's price, or else the machine for as long as
 * the request keeps it busy. 0 where the operator named no cost.
 *
 * @param serviceMs Work of the machine on this request alone.
 */
export function expectedCostUsd(
  { price, machineUsdPerHour }: Pick<Candidate, 'price' | 'machineUsdPerHour'>,
  tokens: { readonly uncached: number; readonly cached: number; readonly output: number },
  serviceMs: number,
  { images, audioSeconds }: Media = NO_MEDIA,
): Usd {
  if (price === undefined)
    return machineUsdPerHour === undefined ? 0 : (machineUsdPerHour / 3.6e6) * serviceMs;
  const { inputUsdPerMTok, cachedInputUsdPerMTok, outputUsdPerMTok } = price;
  const { usdPerRequest = 0, usdPerImage = 0, usdPerAudioSecond = 0 } = price;
  const { uncached, cached, output } = tokens;
  const tokensUsd =
    (uncached * inputUsdPerMTok + cached * cachedInputUsdPerMTok + output * outputUsdPerMTok) / 1e6;
  return tokensUsd + usdPerRequest + images * usdPerImage + audioSeconds * usdPerAudioSecond;
}
