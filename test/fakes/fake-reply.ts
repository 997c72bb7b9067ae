/** What the fake upstream says: chunk and reply shapes as vLLM 0.32 sends them. Pure. */

export interface FakeRequest {
  readonly model?: unknown;
  readonly stream?: unknown;
  readonly n?: unknown;
  readonly max_tokens?: unknown;
  readonly max_completion_tokens?: unknown;
  readonly messages?: unknown;
  readonly prompt?: unknown;
  readonly stream_options?: { readonly include_usage?: unknown } | null;
}

export interface ReplyPlan {
  readonly id: string;
  readonly chat: boolean;
  readonly model: string;
  readonly choices: number;
  readonly tokens: readonly string[];
  readonly finishReason: 'stop' | 'length';
  readonly promptTokens: number;
  readonly cachedTokens: number;
  /** In place of the usage that it has. */
  readonly usage: object | undefined;
  readonly includeUsage: boolean;
}

/** Roughly four characters a token, as real tokenizers do for English. */
function countPromptTokens(body: FakeRequest): number {
  const text = JSON.stringify(body.messages ?? body.prompt ?? '');
  return Math.max(1, Math.round(text.length / 4));
}

export function planReply(
  body: FakeRequest,
  options: {
    id: string;
    chat: boolean;
    tokens: number;
    text: string | undefined;
    cachedTokens: number;
    usage: object | undefined;
  },
): ReplyPlan {
  const limit = Number(body.max_completion_tokens ?? body.max_tokens ?? Number.POSITIVE_INFINITY);
  const words =
    options.text === undefined
      ? Array.from({ length: Math.min(options.tokens, limit) }, (_, i) => (i === 0 ? 'word0' : ` word${i}`))
      : (options.text.match(/\s*\S+|\s+$/g) ?? []);
  const tokens = words.slice(0, Math.min(words.length, limit));
  const available = options.text === undefined ? options.tokens : words.length;
  return {
    id: options.id,
    chat: options.chat,
    model: String(body.model),
    choices: Math.max(1, Number(body.n ?? 1)),
    tokens,
    finishReason: tokens.length < available ? 'length' : 'stop',
    promptTokens: countPromptTokens(body),
    cachedTokens: options.cachedTokens,
    usage: options.usage,
    includeUsage: body.stream_options?.include_usage === true,
  };
}

function usageOf(plan: ReplyPlan): object {
  const completion = plan.tokens.length * plan.choices;
  return {
    prompt_tokens: plan.promptTokens,
    total_tokens: plan.promptTokens + completion,
    completion_tokens: completion,
    prompt_tokens_details: plan.cachedTokens > 0 ? { cached_tokens: plan.cachedTokens } : null,
    ...plan.usage,
  };
}

/** The JSON of every event of a stream, without `data: ` and without `[DONE]`. */
export function streamEvents(plan: ReplyPlan, options: { omitUsage: boolean }): string[] {
  const head = {
    id: plan.id,
    object: plan.chat ? 'chat.completion.chunk' : 'text_completion',
    created: 1_700_000_000,
    model: plan.model,
  };
  const events: string[] = [];
  const push = (choices: unknown[], extra: object = {}) =>
    events.push(JSON.stringify({ ...head, choices, ...extra }));
  const last = plan.tokens.length - 1;
  for (let index = 0; plan.chat && index < plan.choices; index += 1) {
    push([{ index, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null }]);
  }
  for (const [position, token] of plan.tokens.entries()) {
    for (let index = 0; index < plan.choices; index += 1) {
      const finish_reason = position === last ? plan.finishReason : null;
      if (plan.chat) push([{ index, delta: { content: token }, logprobs: null, finish_reason }]);
      else push([{ index, text: token, logprobs: null, finish_reason, stop_reason: null }]);
    }
  }
  if (plan.tokens.length === 0) {
    for (let index = 0; index < plan.choices; index += 1) {
      const body = plan.chat ? { delta: { content: '' } } : { text: '' };
      push([{ index, ...body, logprobs: null, finish_reason: plan.finishReason }]);
    }
  }
  if (plan.includeUsage && !options.omitUsage) push([], { usage: usageOf(plan) });
  return events;
}

/** The whole reply of a request without `stream`. */
export function wholeReply(plan: ReplyPlan): string {
  const text = plan.tokens.join('');
  return JSON.stringify({
    id: plan.id,
    object: plan.chat ? 'chat.completion' : 'text_completion',
    created: 1_700_000_000,
    model: plan.model,
    choices: Array.from({ length: plan.choices }, (_, index) =>
      plan.chat
        ? {
            index,
            message: { role: 'assistant', content: text, refusal: null, tool_calls: [] },
            logprobs: null,
            finish_reason: plan.finishReason,
          }
        : { index, text, logprobs: null, finish_reason: plan.finishReason, stop_reason: null },
    ),
    usage: usageOf(plan),
  });
}
