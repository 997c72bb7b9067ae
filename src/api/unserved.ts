import type { PublicModel } from '../core/deployment.ts';

/** What a key, a project or an organization may be limited to. */
export interface Scope {
  readonly models?: readonly string[] | null | undefined;
  readonly demands?: { readonly regions?: readonly string[] | null | undefined } | undefined;
}

export interface Served {
  readonly models: readonly string[];
  readonly regions: readonly string[];
}

export function servedBy(models: Iterable<PublicModel>): Served {
  const all = [...models];
  return {
    models: all.map(({ name }) => name),
    regions: [
      ...new Set(all.flatMap(({ deployments }) => deployments.flatMap(({ region }) => region ?? []))),
    ],
  };
}

const MOST_SHOWN = 10;

/** What somebody is limited to and nothing serves: a slip, or still to come. @param where `here`, `in qianmen.yaml` */
export function unserved({ models, demands }: Scope, served: Served, where: string): string[] {
  return [
    ...missing('model', models, served.models, where),
    ...missing('region', demands?.regions, served.regions, where),
  ];
}

function missing(
  what: string,
  wanted: readonly string[] | null | undefined,
  known: readonly string[],
  where: string,
): string[] {
  if (!wanted) return [];
  const shown = [
    ...known.slice(0, MOST_SHOWN).map((name) => `\`${name}\``),
    ...(known.length > MOST_SHOWN ? ['…'] : []),
  ];
  const others = shown.length === 0 ? '' : `, only ${shown.join(', ')}`;
  return wanted
    .filter((name) => !known.includes(name))
    .map((name) => `there is no ${what} \`${name}\` ${where}${others}`);
}
