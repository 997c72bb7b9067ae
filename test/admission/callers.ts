import type { Caller, Limits } from '../../src/core/caller.ts';
import type { AdmissionAsk } from '../../src/gateway/request/admission.ts';

/** A request of the key `key` in the project and organization of `tenant`, with these limits. */
export function askOf(
  limits: Partial<Caller['limits']> & { readonly model?: Limits },
  { key = 'key_1', tenant = '1', tokens = 10, nanoUsd = 100, more = 0 } = {},
): AdmissionAsk {
  const { model, ...own } = limits;
  return {
    caller: {
      keyId: key,
      projectId: `proj_${tenant}`,
      organizationId: `org_${tenant}`,
      role: 'user',
      weight: 1,
      priority: 0,
      demands: {},
      limits: { key: {}, project: {}, organization: {}, ...own },
    },
    model: 'm',
    modelLimits: model,
    tokens,
    nanoUsd,
    mostNanoUsd: nanoUsd + more,
  };
}
