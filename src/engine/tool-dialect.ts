/** How a model writes that it calls a tool. */
export type ToolDialect = 'hermes' | 'llama';

/**
 * `hermes`: `<tool_call>` around `{"name", "arguments"}`; Hermes, Qwen 2.5 and 3, and every model whose template does not speak of
 * tools. `llama`: the whole reply is `{"name", "parameters"}`; Llama 3.1 to 3.3.
 */
export function toolDialect(templateSource: string): {
  readonly dialect: ToolDialect;
  readonly native: boolean;
} {
  const speaksOfTools = /\btools\b/.test(templateSource);
  if (speaksOfTools && templateSource.includes('<tool_call>')) return { dialect: 'hermes', native: true };
  if (speaksOfTools && /ipython|<\|python_tag\|>/.test(templateSource))
    return { dialect: 'llama', native: true };
  // Also templates that render tools in a way we could not read back.
  return { dialect: 'hermes', native: false };
}
