import type { Emit } from '../../core/event.ts';
import { wantsTls } from '../wire/wants-tls.ts';

export interface ListingNoticeOptions {
  readonly upstream: string;
  /** What is asked for. */
  readonly url: string;
  readonly hasKey: boolean;
  readonly emit: Emit;
}

/** Such an answer says that nobody is listened to for now, not that something is wrong with the question. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429]);

/**
 * Tells once that a server refuses to list its models, and what to do, and once that it no longer does. Most of them
 * will refuse requests, too, but that shows only when there are some.
 */
export class ListingNotice {
  readonly #options: ListingNoticeOptions;
  #status: number | undefined;

  constructor(options: ListingNoticeOptions) {
    this.#options = options;
  }

  /** @param text Of the answer. */
  answered(status: number, text = ''): void {
    if (status >= 500 || PASSING.has(status)) return;
    const refusal = status >= 300 ? status : undefined;
    if (refusal === this.#status) return;
    this.#status = refusal;
    const { upstream, url, emit } = this.#options;
    const problem =
      refusal === undefined
        ? undefined
        : { detail: `HTTP ${refusal} for ${url}`, fix: this.#fixOf(refusal, text) };
    emit({ type: 'upstream-listing-changed', upstream, problem });
  }

  #fixOf(status: number, text: string): string {
    const { url, hasKey } = this.#options;
    if (wantsTls(status, text)) return 'begin its url with https://: it speaks TLS';
    if (status === 401 || status === 403)
      return hasKey ? 'set its apiKey to one that the server knows' : 'set its apiKey: the server wants one';
    const root = url.slice(0, url.lastIndexOf('/'));
    const other = root.endsWith('/v1') ? root.slice(0, -'/v1'.length) : `${root}/v1`;
    return `unless this server lists no models, correct its url to the API root: perhaps ${other}`;
  }
}
