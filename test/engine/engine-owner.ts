/**
 * Owns an engine, tells its process id, and waits to be killed. With a model file and a cache directory as arguments it is a
 * real engine in the middle of a reply.
 */
import { createEngineBackend } from '../../src/engine/engine-backend.ts';
import { spawnModelProcess } from '../../src/model-process/model-process.ts';
import { completion } from './requests.ts';

const [modelPath, cacheDir] = process.argv.slice(2);
const engine = createEngineBackend({
  name: 'owned',
  modelPath: modelPath ?? '/models/owned.gguf',
  cacheDir: cacheDir ?? '/models',
  emit: () => {},
  ...(modelPath === undefined
    ? { spawn: (events) => spawnModelProcess(events, new URL('./scripted-engine.ts', import.meta.url)) }
    : {}),
});
await engine.ready;
if (modelPath !== undefined)
  await engine.run(completion('One, two,', { stop: { ignoreEos: true } }), {
    model: 'owned',
    signal: new AbortController().signal,
  });
process.stdout.write(String(engine.info()?.pid));
