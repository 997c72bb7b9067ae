import type { PublicModel } from '../../core/deployment.ts';

export interface ModelObject {
  readonly id: string;
  readonly object: 'model';
  /** Unix seconds. */
  readonly created: number;
  readonly owned_by: string;
}

export function modelObject(model: PublicModel): ModelObject {
  // Where a model runs is the operator's affair: every model is the gateway's own.
  return { id: model.name, object: 'model', created: Math.trunc(model.createdAtS), owned_by: 'qianmen' };
}

export function modelList(models: Iterable<PublicModel>): { object: 'list'; data: ModelObject[] } {
  return { object: 'list', data: Array.from(models, modelObject) };
}
