import { createEngineBackend } from '../../src/engine/engine-backend.ts';
import { backendContract } from '../backend.contract.ts';
import { MODELS_DIR, realModelPath } from '../model-file.ts';

backendContract('engine', async () => {
  const backend = createEngineBackend({
    name: 'smol',
    modelPath: realModelPath(),
    cacheDir: MODELS_DIR,
    slots: 4,
    emit: () => {},
  });
  await backend.ready;
  return { backend, model: 'smol', close: () => backend.close() };
});
