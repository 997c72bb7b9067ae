/** Luhn's check of ISO/IEC 7812 (payment cards). */
export function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - ZERO;
    const weighted = i % 2 === 0 ? digit : digit * 2;
    sum += weighted > 9 ? weighted - 9 : weighted;
  }
  return sum % 10 === 0;
}

/** ISO 7064 MOD 97-10 over an account number whose country and check digits were moved to the end (IBAN, ISO 13616). */
export function passesMod97(account: string): boolean {
  const moved = account.slice(4) + account.slice(0, 4);
  let remainder = 0;
  for (const character of moved) {
    const value = Number.parseInt(character, 36);
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97;
  }
  return remainder === 1;
}

/** ISO 7064 MOD 11-2 with `X` for ten (GB 11643, resident identity numbers of the People's Republic of China). */
export function passesMod11Radix2(number: string): boolean {
  let remainder = 0;
  for (const digit of number.slice(0, -1)) remainder = ((remainder + Number(digit)) * 2) % 11;
  const check = (12 - remainder) % 11;
  return number.at(-1)?.toUpperCase() === (check === 10 ? 'X' : String(check));
}

/** Σ digitᵢ·weightᵢ. */
export function weightedSum(digits: readonly number[], weights: readonly number[]): number {
  return weights.reduce((sum, weight, i) => sum + weight * (digits[i] ?? 0), 0);
}

/** Whether a day of that number exists: `YYYYMMDD`, between 1900 and 2099. */
export function isDate(yyyymmdd: string): boolean {
  const [year, month, day] = [yyyymmdd.slice(0, 4), yyyymmdd.slice(4, 6), yyyymmdd.slice(6, 8)].map(Number);
  if (!year || !month || !day || year < 1900 || year > 2099) return false;
  const date = new Date(Date.UTC(year, month - 1, day));
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}

const ZERO = 48;
