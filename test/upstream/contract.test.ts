import { createUpstream } from '../../src/upstream/upstream.ts';
import { backendContract } from '../backend.contract.ts';
import { startFakeUpstream } from '../fakes/openai-upstream.ts';

backendContract('upstream', async () => {
  const fake = await startFakeUpstream({ behaviour: { tokens: 2_000, ttftMs: 5, itlMs: 1 } });
  const backend = createUpstream({ name: 'fake', url: fake.url, emit: () => {} });
  return {
    backend,
    model: 'fake-model',
    async close() {
      await backend.close();
      await fake.close();
    },
  };
});
