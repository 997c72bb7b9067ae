import { expect, test } from 'vitest';
import { LOAD_PAGES } from './server-load.ts';

const read = (path: string, body: string) => {
  const loads = LOAD_PAGES.find((page) => page.path === path)?.read(body);
  return loads && Object.fromEntries([...loads].map(([model, load]) => [String(model), load]));
};

const VLLM = `# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="smollm2"} 3.0
vllm:num_requests_running{engine="1",model_name="smollm2"} 1.0
vllm:num_requests_waiting{engine="0",model_name="smollm2"} 2.0
vllm:num_requests_waiting{engine="1",model_name="smollm2"} 0.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="smollm2",reason="capacity"} 9.0
vllm:kv_cache_usage_perc{engine="0",model_name="smollm2"} 0.2
`;

test('vLLM tells by model, summed over its engines', () => {
  expect(read('/metrics', VLLM)).toEqual({ smollm2: { waiting: 2, running: 4 } });
});

test('SGLang tells in metrics, and in a page of its own', () => {
  const metrics = 'sglang:num_running_reqs{model_name="a/b"} 7\nsglang:num_queue_reqs{model_name="a/b"} 5\n';
  expect(read('/metrics', metrics)).toEqual({ 'a/b': { waiting: 5, running: 7 } });
  const loads = {
    loads: [
      { num_running_reqs: 2, num_waiting_reqs: 1 },
      { num_running_reqs: 3, num_waiting_reqs: 0 },
    ],
  };
  expect(read('/v1/loads', JSON.stringify(loads))).toEqual({ undefined: { waiting: 1, running: 5 } });
});

test('llama.cpp tells in metrics, and by its slots', () => {
  const metrics = 'llamacpp:requests_processing 2\nllamacpp:requests_deferred 1\n';
  expect(read('/metrics', metrics)).toEqual({ undefined: { waiting: 1, running: 2 } });
  const slots = [
    { id: 0, is_processing: true },
    { id: 1, is_processing: false },
  ];
  expect(read('/slots', JSON.stringify(slots))).toEqual({ undefined: { waiting: 0, running: 1 } });
});

test.each([
  ['/metrics', ''],
  ['/metrics', 'process_cpu_seconds_total 4\n'],
  ['/metrics', 'vllm:num_requests_running{model_name="m"} 3\n'],
  ['/metrics', VLLM.replace('3.0', 'NaN')],
  ['/metrics', VLLM.replace('3.0', '-3')],
  ['/v1/loads', '{"loads":[]}'],
  ['/v1/loads', '{"loads":[{"num_running_reqs":"2","num_waiting_reqs":1}]}'],
  ['/v1/loads', '<html>'],
  ['/slots', '{"error":"disabled"}'],
  ['/slots', '[]'],
])('%s tells nothing in %j', (path, body) => {
  expect(read(path, body)).toBeUndefined();
});
