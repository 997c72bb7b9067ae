import { InvalidArgumentError } from 'commander';
import { NANO_USD_PER_USD } from '../core/money.ts';

const NANO_DIGITS = 9;

const UNIT_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `90d`, `24h`, `30m`, `10s` → milliseconds. @throws InvalidArgumentError */
export function durationMs(text: string): number {
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  if (count === undefined) throw new InvalidArgumentError('must be a time such as 90d, 24h, 30m or 10s.');
  return Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS];
}

/** The same, of what has to end some time after now. @throws InvalidArgumentError */
export function timeToComeMs(text: string): number {
  const ms = durationMs(text);
  if (ms === 0) throw new InvalidArgumentError('must be more than no time.');
  return ms;
}

/** @throws InvalidArgumentError */
export function wholeNumber(text: string): number {
  if (!/^-?\d{1,15}$/.test(text)) throw new InvalidArgumentError('must be a whole number.');
  return Number(text);
}

/** @throws InvalidArgumentError */
export function decimal(text: string): number {
  if (!/^\d{1,9}(\.\d{1,9})?$/.test(text)) throw new InvalidArgumentError('must be a number such as 2.5.');
  return Number(text);
}

/** US dollars → whole nano-dollars, exactly, which a product of fractions is not. @throws InvalidArgumentError */
export function nanoUsd(text: string): number {
  decimal(text);
  const [whole, fraction = ''] = text.split('.');
  return Number(whole) * NANO_USD_PER_USD + Number(fraction.padEnd(NANO_DIGITS, '0'));
}

/** `a,b` → `['a', 'b']`. @throws InvalidArgumentError */
export function list(text: string): readonly string[] {
  const items = text.split(',').map((item) => item.trim());
  if (items.includes('')) throw new InvalidArgumentError('must be a list with commas, such as a,b.');
  return items;
}

/** `none`: what has been set is removed. Not null, of which commander makes something else. */
export function orNone<T>(parse: (text: string) => T): (text: string) => T | 'none' {
  return (text) => (text === 'none' ? text : parse(text));
}
