import { defineConfig } from 'vitest/config';

const MODELS = ['test/{engine,local,encoder,conformance}/**/*.test.ts'];
/** Compare a rate with an earlier one: nothing else may take the processors meanwhile. */
const RATES = ['test/resilience/goodput.test.ts'];

export default defineConfig({
  test: {
    exclude: ['**/node_modules/**', 'dist/**'],
    globalSetup: ['test/global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // What is waited for comes at once, unless the machine is busy.
    expect: { poll: { timeout: 10_000 } },
    reporters: ['default'],
    projects: [
      {
        extends: true,
        test: {
          name: 'modules',
          include: ['{src,kernels,routers,config}/**/*.test.ts'],
          // They put back what they change of a process, so files share one: loading the modules anew for each takes longer than
          // most of the tests.
          isolate: false,
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
        },
      },
      { extends: true, test: { name: 'models', include: MODELS, maxWorkers: 2 } },
      {
        extends: true,
        test: {
          name: 'gateway',
          include: ['test/**/*.test.ts'],
          exclude: [...MODELS, ...RATES],
          // Not beside models, which compute on all processors: much here is about time. It is mostly waited for, so more of them run.
          maxWorkers: 4,
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: true,
        test: { name: 'rates', include: RATES, maxWorkers: 1, sequence: { groupOrder: 3 } },
      },
    ],
  },
});
