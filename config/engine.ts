import { z } from 'zod';
import { milliseconds, name, positive } from './primitives.ts';
import { samplingSchema } from './sampling.ts';

export const engine = z
  .strictObject({
    /** A name from the catalogue, or … */
    model: name.optional(),
    /**
     * … a GGUF file; or a Hugging Face model directory with config.json, tokenizer.json and, of a generator,
     * model.safetensors (or several and their index), of an encoder, model.onnx or onnx/model.onnx.
     */
    path: z.string().min(1).optional(),
    /** Encoders: what the model is for; default: what its config.json says. */
    task: z.enum(['embed', 'rerank', 'classify']).optional(),
    /** Public name; default: the catalogue name or the base name of the file or directory. */
    name: name.optional(),
    /**
     * What computes: ONNX Runtime's execution provider. `auto` takes the best that really works on this machine, and says why not a
     * better one. Any other is taken or the engine does not start.
     */
    provider: z.enum(['auto', 'cpu', 'cuda', 'tensorrt', 'webgpu', 'coreml', 'dml']).default('auto'),
    providerOptions: z
      .strictObject({
        /** Which of several GPUs; cuda, tensorrt and dml. */
        deviceId: z.number().int().min(0).optional(),
        /** Most memory that ONNX Runtime takes on the device; cuda and tensorrt. */
        memoryLimitBytes: positive.optional(),
        /**
         * Folder of another ONNX Runtime (1.24 or newer) than the one that comes along, which knows the CPU and WebGPU. For CUDA:
         * `python3 -m venv /opt/ort && /opt/ort/bin/pip install 'onnxruntime-gpu[cuda,cudnn]'`, and here
         * /opt/ort/lib/python3.X/site-packages/onnxruntime/capi. CUDA's own libraries are beside it in site-packages/nvidia: name
         * their folders in LD_LIBRARY_PATH under `environment`.
         */
        libraryFolder: z.string().min(1).optional(),
        /** Further options of the provider, under ONNX Runtime's names; not with `auto`. */
        extra: z.record(z.string(), z.string()).optional(),
      })
      .prefault({}),
    /**
     * Variables of the engine process, which has no others: what a GPU's driver needs, such as LD_LIBRARY_PATH, CUDA_VISIBLE_DEVICES
     * or VK_ICD_FILENAMES. `${NAME}` takes the gateway's own.
     */
    environment: z.record(z.string(), z.string()).prefault({}),
    /** Default: the number of cores, at most 8. */
    threads: positive.max(256).optional(),
    /** Sequences decoded together; encoders have none. */
    slots: positive.max(256).default(16),
    /**
     * Prompt + output of one sequence; default: what the model was trained for, at most 2,048. Of an encoder: the longest
     * input; default and at most what the model says.
     */
    contextTokens: positive.max(1_048_576).optional(),
    /** Used where a request does not say; default: what the catalogue recommends for the model. */
    sampling: samplingSchema.prefault({}),
    /** Requests that may wait for a slot; the next one gets 503. */
    queueLimit: positive.default(256),
    /** Memory for computed prompts, so that one which begins alike need not be computed again. 0 turns it off. */
    prefixCacheBytes: z
      .number()
      .int()
      .min(0)
      .default(512 * 1024 * 1024),
    /**
     * `auto`: while a single reply is decoded, tokens are guessed from what the text repeats and several are checked in one pass, as
     * long as that is faster. The reply is the same, token by token. The weights are then in memory twice, which is why models of more
     * than 512 MiB, GPUs and encoders do without.
     */
    speculation: z.enum(['auto', 'off']).default('auto'),
    /** Encoders: most tokens computed together, padding included. */
    batchTokens: positive.max(1_048_576).default(4_096),
    /**
     * Encoders that embed, on the CPU. `auto`: largely in 8-bit integers, made of the model's own weights, as long as the vectors stay
     * within a cosine of 0.999; half the time. `float32`: exactly as the file has it.
     */
    precision: z.enum(['auto', 'float32']).default('auto'),
    /**
     * `start`: in memory from the start on. `demand`: brought there by the first request, which waits, or by an operator.
     */
    load: z.enum(['start', 'demand']).default('start'),
    /** Taken out of memory after this long without a request; the next one brings it back. Default: it stays. */
    keepAliveMs: milliseconds.optional(),
    /** The process is ended, and started again, when it takes more. Default: twice what is expected of it, and 512 MiB. */
    memoryLimitBytes: positive.optional(),
    /** Threads that compute wait busily, some 0.1 ms, for their next piece of work: up to 1.4 times as fast. `false` where cores are scarce. */
    spinning: z.boolean().default(true),
  })
  .refine((e) => (e.model === undefined) !== (e.path === undefined), {
    message: 'needs exactly one of `model` (a catalogue name) and `path` (a GGUF file, or a model directory)',
  });

export type EngineConfig = z.infer<typeof engine>;

/** The public name of an engine's model. */
export function engineName(config: EngineConfig): string {
  if (config.name !== undefined) return config.name;
  if (config.model !== undefined) return config.model;
  const file = (config.path ?? '').split(/[\\/]/).filter(Boolean).pop() ?? '';
  return file.replace(/\.gguf$/i, '').toLowerCase();
}
