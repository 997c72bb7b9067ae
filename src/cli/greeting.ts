/** What a person at a terminal is told once models are served: where, which, and something to try. */
export function greeting(url: string, models: readonly string[], startMs: number): string {
  const model = models[0] ?? 'MODEL';
  return `
  Qianmen is open after ${(startMs / 1000).toFixed(1)} s.

    API      ${url}/v1          any OpenAI client: base_url, and any text as key
    models   ${models.join(', ')}
    metrics  ${url}/metrics     ready: ${url}/readyz

  Try:
    curl ${url}/v1/chat/completions -H 'content-type: application/json' \\
      -d '{"model":"${model}","messages":[{"role":"user","content":"What is the capital of Japan?"}],"temperature":0}'

  Ctrl-C stops after running replies have finished; a second one stops at once.

`;
}
