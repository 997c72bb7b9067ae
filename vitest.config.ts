import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{src,kernels,routers,config,test}/**/*.test.ts'],
    exclude: ['**/node_modules/**', 'dist/**'],
    globalSetup: ['test/global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
    reporters: ['default'],
  },
});
