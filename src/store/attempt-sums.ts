/** What is summed of attempts, by the names of their columns. */
export const ATTEMPT_AMOUNTS = [
  'prompt_tokens',
  'cached_tokens',
  'completion_tokens',
  'reasoning_tokens',
  'cost_nano_usd',
  'waste_nano_usd',
] as const;

/** Sums of attempts, how many they are first: the columns of `attempt_day` behind label and day, in their order. */
export const ATTEMPT_SUMS = ['attempts', ...ATTEMPT_AMOUNTS] as const;
