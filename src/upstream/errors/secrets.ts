import type { AppError } from '../../core/error.ts';

/** What must never reach a client. */
export interface Secrets {
  /** Host and port, host, API key, origin… longest first. */
  readonly values: readonly string[];
  /** The one among them that operators must not read either. */
  readonly apiKey: string | undefined;
}

export const NO_SECRETS: Secrets = { values: [], apiKey: undefined };

/** @param addresses Of the server, where it has others than its URL says. */
export function secretsOf(url: URL, apiKey: string | undefined, addresses: readonly string[] = []): Secrets {
  const values = [url.origin, url.host, url.hostname, apiKey ?? '', ...addresses];
  // A host name such as `vm` would tear holes into ordinary words.
  return { values: values.filter((value) => value.length > 3).sort((a, b) => b.length - a.length), apiKey };
}

export function scrub(text: string, secrets: readonly string[]): string {
  let clean = text;
  for (const value of secrets) clean = clean.replaceAll(value, '…');
  return clean;
}

/** What operators may read of a text. It is cut last: half a key is a secret, too. */
export function keyless(text: string, { apiKey }: Secrets, mostChars: number): string {
  return (apiKey ? scrub(text, [apiKey]) : text).slice(0, mostChars);
}

/** Servers like to say which key they refuse, and what they say gets into logs and reports of their health. */
export function withoutKey(error: AppError, { apiKey }: Secrets): AppError {
  const { cause } = error;
  if (!apiKey || !(cause instanceof Error) || !cause.message.includes(apiKey)) return error;
  return error.with({ cause: new Error(cause.message.replaceAll(apiKey, '…')) });
}
