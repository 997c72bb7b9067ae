import { AppError } from '../../core/error.ts';

/** What every object of one reply says about itself. */
export interface ReplyHead {
  /** `chatcmpl-…` or `cmpl-…`, constant within a reply. */
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  /** The public model name, as the client asked for it. */
  readonly model: string;
  /** How many choices the reply must finish: prompts × n. */
  readonly choices: number;
  /** Log-probabilities were asked for: they are there, if only as an empty list. */
  readonly logprobs?: boolean;
}

/** For a reply whose parts ran out before every choice had its `finish`: it must not pass for a whole one. */
export function replyEndedEarly(): AppError {
  return new AppError('upstream_error', { message: 'The reply broke off before it was complete.' });
}
