/** Owns an engine, tells its process id, and waits to be killed. */
import { createEngineBackend } from '../../src/engine/engine-backend.ts';
import { spawnEngine } from '../../src/engine/engine-child.ts';

const engine = createEngineBackend({
  name: 'owned',
  modelPath: '/models/owned.gguf',
  cacheDir: '/models',
  emit: () => {},
  spawn: (events) => spawnEngine(events, new URL('./scripted-engine.ts', import.meta.url)),
});
await engine.ready;
process.stdout.write(String(engine.info()?.pid));
