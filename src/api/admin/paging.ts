import { z } from 'zod';
import type { Page } from './tenant-admin.ts';

/** In replies: `after` of the next page. Null: this was the last. */
export const nextPage = z.string().nullable();

/** A full page may be followed by an empty one. */
export function nextOf(found: readonly { readonly id: string }[], { limit }: Page): string | null {
  return found.length < limit ? null : (found.at(-1)?.id ?? null);
}
