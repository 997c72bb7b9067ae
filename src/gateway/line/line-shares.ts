import type { Tenant } from '../request/tenant.ts';
import type { TenantAccount, Urgent } from './tenant-account.ts';

/** How tenants share a line: who has how much of it, and more than is fair. */

/** Those with somebody in line. */
type Waiting<W extends Urgent> = Iterable<TenantAccount<W>>;

/**
 * How many of those in line will be served before a request of the tenant that comes now.
 *
 * @param idle It has nothing running, so that those of its band that have are served after it.
 */
export function turnsBefore<W extends Urgent>(
  waiting: Waiting<W>,
  { projectId, weight, priority }: Tenant,
  idle = false,
): number {
  let own = 0;
  for (const { id, line } of waiting) if (id === projectId) own = line.length;
  const turns = (own + 1) / weight;
  let before = own;
  for (const account of waiting) {
    if (account.id === projectId) continue;
    const { priority: theirs } = account.head!.tenant;
    if (theirs < priority) before += account.line.length;
    else if (theirs === priority && !(idle && account.running > 0))
      before += Math.min(account.line.length, turns * account.weight);
  }
  return before;
}

/** The tenant with the most in line for its weight, among the worst band that waits. */
export function mostCrowded<W extends Urgent>(waiting: Waiting<W>): TenantAccount<W> | undefined {
  let most: TenantAccount<W> | undefined;
  const band = (account: TenantAccount<W>) => account.line.at(-1)!.tenant.priority;
  for (const account of waiting)
    if (
      most === undefined ||
      band(account) > band(most) ||
      (band(account) === band(most) && account.crowding > most.crowding)
    )
      most = account;
  return most;
}

/** What a tenant would have in line for its weight, with so many more. */
export function crowdingWith<W extends Urgent>(
  waiting: Waiting<W>,
  { projectId, weight }: Tenant,
  more: number,
): number {
  for (const { id, line } of waiting) if (id === projectId) return (line.length + more) / weight;
  return more / weight;
}

/**
 * A tenant has more in line than is its share, while others wait, too.
 *
 * @param beside How many of the tenant's are not in line yet.
 */
export function isExcessive<W extends Urgent>(waiting: Waiting<W>, tenant: Tenant, beside: number): boolean {
  let weights = tenant.weight;
  let others = 0;
  for (const { id, line, weight } of waiting) {
    if (id === tenant.projectId) continue;
    others += line.length;
    weights += weight;
  }
  const own = crowdingWith(waiting, tenant, beside) * tenant.weight;
  return others > 0 && own > ((own + others) * tenant.weight) / weights;
}
