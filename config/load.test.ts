import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkConfig, DEFAULT_CONFIG, loadConfig } from './load.ts';
import { packageRoot } from './package-root.ts';

function load(yaml: string, env: Record<string, string> = {}) {
  const file = join(mkdtempSync(join(tmpdir(), 'qianmen-config-')), 'qianmen.yaml');
  writeFileSync(file, yaml);
  return loadConfig(file, env);
}

const SAMPLES = readdirSync(new URL('.', import.meta.url)).filter(
  (file) => file.endsWith('.yaml') && file !== 'models.yaml',
);

describe('configuration', () => {
  it('serves the embedded model on loopback by default', () => {
    const config = checkConfig(DEFAULT_CONFIG, 'default');
    expect(config.listen).toMatchObject({ host: '127.0.0.1', port: 8080 });
    expect(config.engines[0]).toMatchObject({ model: 'smollm2-135m-instruct', slots: 16 });
  });

  it.each(SAMPLES)('accepts the sample %s', (sample) => {
    const env = { VLLM_KEY: 'k', CLOUD_KEY: 'k' };
    expect(() => loadConfig(new URL(`config/${sample}`, packageRoot()).pathname, env)).not.toThrow();
  });

  it('does not take a file that an editor has just emptied for one that wants nothing served', () => {
    expect(() => load('')).toThrow(/is empty/);
    expect(() => load('# only a comment\n')).toThrow(/is empty/);
  });

  it('takes secrets from the environment', () => {
    const yaml = 'upstreams: [{ name: a, url: "http://h/v1", apiKey: "${KEY}" }]';
    expect(load(yaml, { KEY: 's3cret' }).upstreams[0]?.apiKey).toBe('s3cret');
    expect(() => load(yaml)).toThrow(/upstreams\[0\]\.apiKey needs the environment variable KEY/);
  });

  it.each([
    ['listen: { port: 99999 }', /listen\.port.*99999/],
    ['listen: { prot: 1 }', /listen: .*"prot"; allowed are host, port, /],
    ['listenn: {}', /the top level: .*"listenn"; allowed are listen, /],
    ['engines: [{ provider: cuda9, model: m }]', /engines\[0\]\.provider/],
    ['engines: [{ slots: 4 }]', /exactly one of `model`.*and `path`/],
    [
      'upstreams: [{ name: a, url: "http://h/v1/chat/completions" }]',
      /upstreams\[0\]\.url: must be the API root/,
    ],
    ['upstreams: [{ name: a, url: "http://h/v1?a=b" }]', /upstreams\[0\]\.url: must end with its path/],
    ['upstreams: [{ name: a, url: "ftp://h" }]', /upstreams\[0\]\.url: must be an http.*ftp:\/\/h/],
    ['models: [{ name: m, deployments: [{ upstream: nope }] }]', /there is no upstream `nope`/],
    ['models: [{ name: m, deployments: [] }]', /models\[0\]\.deployments/],
    ['upstreams: [{ name: a, url: "http://h" }, { name: a, url: "http://i" }]', /`a` is used twice/],
    ['models: { m: {} }', /models: .*; write a list: each entry begins with `- `/],
    ['database: mysql://h/d', /database: must be `sqlite` or a URL that begins with postgres:\/\//],
    ['listen: [', /not valid YAML/],
  ])('refuses %s and says where', (yaml, message) => {
    expect(() => load(yaml)).toThrow(message);
  });

  it.each([
    'upstreams: [{ name: a, url: "http://user:hunter2@h/v1" }]',
    'upstreams: [{ name: a, url: "http://h/v1?key=hunter2" }]',
    'upstreams:\n  - name: a\n    apiKey: hunter2\n   url: [',
    'apiKey: "hunter2',
    'apiKey: hunter2\napiKey: b',
    'apiKey: *hunter2',
    '\tapiKey: hunter2',
    'upstreams: [{ apiKey: hunter2 ]',
    'a: 1\n}hunter2',
    'apiKey: |hunter2',
  ])('shows no secret in an error: %j', (yaml) => {
    let message = '';
    try {
      load(yaml);
    } catch (error) {
      message = String(error);
    }
    expect(message).toMatch(/ConfigError: .*(upstreams\[0\]\.url|not valid YAML: .*(at line|alias))/s);
    expect(message).not.toContain('hunter2');
  });

  it('refuses times that no timer can take: they would be none at all', () => {
    expect(() => load('limits: { requestTimeoutMs: 2592000000 }')).toThrow(/requestTimeoutMs/);
    expect(() => load('listen: { drainDelayMs: 2592000000 }')).toThrow(/drainDelayMs/);
  });
});
