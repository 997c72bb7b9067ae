/**
 * What was asked for cannot be made into a grammar: it is malformed, unsupported, or too costly. The message is for
 * whoever wrote it; it continues the sentence "the schema …".
 */
export class GrammarError extends Error {
  override readonly name = 'GrammarError';
}

/** It took too long, which a machine that was busy may be to blame for. */
export class GrammarTimeError extends GrammarError {}
