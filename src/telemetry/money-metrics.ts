import type { Registry } from 'prom-client';
import type { RequestSettled } from '../core/event.ts';
import { type CounterSeries, countedIn } from './series.ts';

/**
 * Counts money in whole nano-dollars, so that sums over any number of requests are exact and can be compared with the ledger. A
 * model that costs nothing has no series.
 */
export function moneyMetrics(registry: Registry): (event: RequestSettled) => void {
  const cost = byModel(
    registry,
    'qianmen_cost_nanousd_total',
    'What callers pay, in billionths of a US dollar.',
  );
  const waste = byModel(
    registry,
    'qianmen_wasted_nanousd_total',
    'What attempts that nobody got may have cost, in billionths of a US dollar.',
  );
  return ({ model, attempts, costNanoUsd }) => {
    if (model === undefined) return;
    if (costNanoUsd > 0) cost(model).add(costNanoUsd);
    for (const { wasteNanoUsd } of attempts) if (wasteNanoUsd > 0) waste(model).add(wasteNanoUsd);
  };
}

function byModel(registry: Registry, name: string, help: string): (model: string) => CounterSeries {
  const create = countedIn(registry, { name, help });
  const known = new Map<string, CounterSeries>();
  return (model) => {
    const series = known.get(model) ?? create({ model });
    known.set(model, series);
    return series;
  };
}
