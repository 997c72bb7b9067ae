/** Tokens that end a reply although the file names only one; the list llama.cpp keeps for the same reason. */
export const END_OF_REPLY: ReadonlySet<string> = new Set([
  '<|im_end|>',
  '<|endoftext|>',
  '<|eot_id|>',
  '<|eom_id|>',
  '<|end_of_text|>',
  '<|end|>',
  '<end_of_turn>',
  '</s>',
]);
