import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { parse } from 'yaml';
import { buildDashboard, DASHBOARD_FILE } from '../dashboards/build.ts';
import { ROWS } from '../dashboards/panels.ts';
import { ERROR_CATALOGUE } from '../src/core/error.ts';
import { type FakeUpstream, startFakeUpstream } from './fakes/openai-upstream.ts';
import { type GatewayProcess, startGatewayProcess } from './support/gateway-process.ts';
import { promtoolPath } from './tools/promtool.ts';

interface Alert {
  readonly alert: string;
  readonly expr: string;
}

const folder = fileURLToPath(new URL('../dashboards/', import.meta.url));
const alerts: Alert[] = parse(readFileSync(join(folder, 'alerts.yaml'), 'utf8')).groups[0].rules;
const queries = ROWS.flatMap(({ panels }) => panels).flatMap((panel) =>
  panel.queries.map(([expression, legend]) => ({ panel: panel.title, expression, legend })),
);
const promtool = promtoolPath();
/** Metrics of whoever scrapes. */
const FOREIGN = ['up'];

let gateway: GatewayProcess;
let fake: FakeUpstream;
let metrics: Set<string>;

beforeAll(async () => {
  fake = await startFakeUpstream();
  gateway = await startGatewayProcess({
    listen: { workers: 2 },
    upstreams: [{ name: 'fake', url: fake.url }],
    models: [{ name: 'm', deployments: [{ upstream: 'fake', model: 'fake-model' }] }],
  });
  const scrape = await (await fetch(`${gateway.url}/metrics`)).text();
  metrics = new Set([...scrape.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name!));
});

afterAll(async () => {
  await gateway?.kill();
  await fake?.close();
});

/** The metrics that a query reads. */
function readBy(expression: string): string[] {
  const names = expression.match(/\b(?:qianmen|nodejs|process|up)[a-z0-9_]*(?=[{[\s)]|$)/g) ?? [];
  return names.map((name) => (metrics.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '')));
}

describe('the dashboard', () => {
  it('is what its panels say: `npm run dashboard` writes it', () => {
    expect(JSON.parse(readFileSync(DASHBOARD_FILE, 'utf8'))).toEqual(
      JSON.parse(JSON.stringify(buildDashboard())),
    );
  });

  it('reads metrics that the gateway has', () => {
    for (const { panel, expression } of queries) {
      const names = readBy(expression);
      expect(names, panel).not.toHaveLength(0);
      for (const name of names) expect([...metrics], `${panel}: ${expression}`).toContain(name);
    }
  });

  it('names its series by labels that its queries keep', () => {
    for (const { panel, expression, legend } of queries)
      for (const [, label] of legend.matchAll(/\{\{(\w+)\}\}/g))
        expect(expression, panel).toMatch(new RegExp(`by \\([^)]*\\b${label}\\b`));
  });

  it.skipIf(promtool === undefined)('has queries that Prometheus understands', () => {
    const scratch = mkdtempSync(join(tmpdir(), 'qianmen-dashboard-'));
    onTestFinished(() => rmSync(scratch, { recursive: true }));
    const rules = queries.map(({ expression }, at) => ({
      record: `panel:${at}`,
      expr: expression.replaceAll('$__rate_interval', '1m'),
    }));
    const file = join(scratch, 'rules.yaml');
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'panels', rules }] }));
    const { status, stdout, stderr } = spawnSync(promtool!, ['check', 'rules', file], { encoding: 'utf8' });
    expect(status, `${stdout}${stderr}`).toBe(0);
  });
});

describe('docs/metrics.md', () => {
  it('tells of every metric of ours, and of no other', () => {
    const text = readFileSync(new URL('../docs/metrics.md', import.meta.url), 'utf8');
    const told = [...text.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name);
    expect(told.toSorted()).toEqual(
      [...metrics].filter((name) => /^(qianmen|gen_ai)_/.test(name)).toSorted(),
    );
  });
});

describe('the alerts', () => {
  it('read metrics that the gateway has', () => {
    for (const { alert, expr } of alerts) {
      const names = readBy(expr);
      expect(names, alert).not.toHaveLength(0);
      for (const name of names) expect([...metrics, ...FOREIGN], alert).toContain(name);
    }
  });

  it('take for failures what the gateway answers with 500 and above, want of room aside', () => {
    const { expr } = alerts.find(({ alert }) => alert === 'QianmenRequestsFail')!;
    const faults = Object.entries(ERROR_CATALOGUE)
      .filter(([code, { status }]) => status >= 500 && code !== 'overloaded' && code !== 'shutting_down')
      .map(([code]) => code);
    expect(/code=~"([^"]*)"/.exec(expr)![1]!.split('|').sort()).toEqual(faults.sort());
  });

  it.skipIf(promtool === undefined)('fire when they should, and not else', () => {
    const { status, stdout, stderr } = spawnSync(promtool!, ['test', 'rules', 'alerts.test.yaml'], {
      cwd: folder,
      encoding: 'utf8',
    });
    expect(status, `${stdout}${stderr}`).toBe(0);
  });
});
