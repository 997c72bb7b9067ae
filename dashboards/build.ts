/**
 * Writes the dashboard: `npm run dashboard`. What is on it is said in panels.ts.
 */
import { writeFileSync } from 'node:fs';
import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import { BigValueGraphMode, VizLegendOptionsBuilder } from '@grafana/grafana-foundation-sdk/common';
import {
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DatasourceVariableBuilder,
  type Panel as GrafanaPanel,
  QueryVariableBuilder,
  RowBuilder,
  type Threshold,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  VariableRefresh,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as GraphBuilder } from '@grafana/grafana-foundation-sdk/timeseries';
import { type Panel, ROWS, type Row } from './panels.ts';

export const DASHBOARD_FILE = new URL('qianmen.json', import.meta.url);

const SOURCE = { type: 'prometheus', uid: '${source}' };
const COLUMNS = 24;

export function buildDashboard(): Dashboard {
  const dashboard = new DashboardBuilder('Qianmen')
    .uid('qianmen')
    .tags(['qianmen', 'llm'])
    .refresh('10s')
    .time({ from: 'now-1h', to: 'now' })
    .tooltip(DashboardCursorSync.Crosshair)
    .withVariable(new DatasourceVariableBuilder('source').label('Prometheus').type('prometheus'))
    .withVariable(labelValues('job', 'qianmen_requests_in_flight', 'Job'))
    .withVariable(labelValues('model', 'qianmen_queue_length{job=~"$job"}', 'Model'));
  for (const row of ROWS) {
    const heading = new RowBuilder(row.title).collapsed(row.isFolded === true);
    if (row.isFolded) for (const panel of row.panels) heading.withPanel(panelOf(panel, row));
    dashboard.withRow(heading);
    if (!row.isFolded) for (const panel of row.panels) dashboard.withPanel(panelOf(panel, row));
  }
  return dashboard.build();
}

function labelValues(label: string, metric: string, name: string): QueryVariableBuilder {
  return new QueryVariableBuilder(label)
    .label(name)
    .datasource(SOURCE)
    .query({ query: `label_values(${metric}, ${label})`, refId: label })
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .multi(true)
    .includeAll(true)
    .allValue('.+')
    .current({ selected: true, text: ['All'], value: ['$__all'] });
}

function panelOf(panel: Panel, row: Row): Builder<GrafanaPanel> {
  const builder = row.areNumbers
    ? numberOf(panel)
        .span(COLUMNS / row.panels.length)
        .height(4)
    : new GraphBuilder()
        .min(0)
        .fillOpacity(10)
        .legend(new VizLegendOptionsBuilder().showLegend(true).calcs(['lastNotNull', 'max']))
        .span(COLUMNS / 3)
        .height(8);
  builder.title(panel.title).unit(panel.unit).datasource(SOURCE);
  if (panel.help !== undefined) builder.description(panel.help);
  for (const [at, [expression, legend]] of panel.queries.entries())
    builder.withTarget(
      new DataqueryBuilder()
        .refId(String.fromCharCode('A'.charCodeAt(0) + at))
        .datasource(SOURCE)
        .expr(expression)
        .legendFormat(legend),
    );
  return builder;
}

function numberOf({ warnAt, alarmAt }: Panel): StatBuilder {
  const steps: Threshold[] = [{ value: null, color: 'green' }];
  if (warnAt !== undefined) steps.push({ value: warnAt, color: 'orange' });
  if (alarmAt !== undefined) steps.push({ value: alarmAt, color: 'red' });
  return new StatBuilder()
    .graphMode(BigValueGraphMode.Area)
    .noValue('–')
    .thresholds(new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps));
}

if (import.meta.main) writeFileSync(DASHBOARD_FILE, `${JSON.stringify(buildDashboard(), undefined, 2)}\n`);
