import { NANO_USD_PER_USD } from '../core/money.ts';

const DIGITS = 9;

/** Whole nano-dollars as dollars, exactly: `0.000001234`, `12`. */
export function usdText(nanoUsd: number): string {
  const whole = Math.trunc(nanoUsd / NANO_USD_PER_USD);
  const rest = String(nanoUsd - whole * NANO_USD_PER_USD).padStart(DIGITS, '0');
  return `${whole}.${rest}`.replace(/\.?0+$/, '');
}
