import { existsSync } from 'node:fs';
import { type EngineConfig, engineName } from '../../config/engine.ts';
import type { Config } from '../../config/schema.ts';
import type { LocalModelView, MemoryView, ModelAdmin } from '../api/admin/model-routes.ts';
import { AppError } from '../core/error.ts';
import { ForeignSettingsError } from '../local/foreign-settings.ts';
import type { LocalBackend } from '../local/local-backends.ts';
import type { Fleet } from './fleet.ts';
import { viewOf } from './local-model-view.ts';

/** Resolves to the path of a model of the catalogue, which is fetched if it has to be. */
export type FetchModel = (name: string) => Promise<string>;

/** What operators may do with local models while the gateway runs. */
export class FleetModelAdmin implements ModelAdmin {
  readonly #fleet: Fleet;
  readonly #fetchModel: FetchModel | undefined;

  constructor(fleet: Fleet, fetchModel: FetchModel | undefined) {
    this.#fleet = fleet;
    this.#fetchModel = fetchModel;
  }

  memory(): MemoryView {
    const { limit, chargedBytes } = this.#fleet.memory;
    const all = [...this.#fleet.localModels, ...this.#fleet.leavingLocalModels];
    return {
      budgetBytes: limit.bytes,
      configured: limit.configured,
      budgetedBytes: chargedBytes,
      residentBytes: all.reduce((sum, { local }) => sum + (local.residentBytes ?? 0), 0),
    };
  }

  models(): readonly LocalModelView[] {
    const { memory: budget, localModels, leavingLocalModels, operatorModels } = this.#fleet;
    const view = (backend: LocalBackend, leaving: boolean) =>
      viewOf(backend, {
        budget,
        leaving,
        origin: leaving ? null : operatorModels.has(backend.name) ? 'operator' : 'configuration',
        path: leaving ? undefined : this.#fleet.modelPath(backend.name),
      });
    return [
      ...localModels.map((backend) => view(backend, false)),
      ...leavingLocalModels.map((backend) => view(backend, true)),
    ];
  }

  async load(name: string, settings: EngineConfig | undefined): Promise<void> {
    if (settings === undefined) return await loaded(this.#find(name));
    const { config, localModels, operatorModels } = this.#fleet;
    const isNew = !localModels.some((backend) => backend.name === name);
    if (isNew) refuseTaken(name, config);
    const path = settings.path ?? (await this.#fetched(settings.model ?? ''));
    if (!existsSync(path))
      throw new AppError('invalid_value', { message: `There is no file \`${path}\`.`, param: 'path' });
    await this.#fleet.exclusively(async () => {
      const undo = operatorModels.set({ settings, path }, this.#fleet.config?.engines ?? []);
      await this.#applied(undo);
    });
    try {
      await loaded(this.#find(name));
    } catch (error) {
      // Nobody has seen it work: it does not stay.
      if (isNew) await this.remove(name);
      throw error;
    }
  }

  async unload(name: string): Promise<void> {
    await this.#find(name).local.unload('operator');
  }

  async remove(name: string): Promise<void> {
    const { operatorModels } = this.#fleet;
    await this.#fleet.exclusively(async () => {
      if (!operatorModels.has(name))
        throw new AppError('invalid_value', {
          message: `\`${name}\` is in the configuration: take it out there, or unload it.`,
        });
      await this.#applied(operatorModels.delete(name));
    });
  }

  async #applied(undo: () => void): Promise<void> {
    try {
      await this.#fleet.applyOperatorModels();
    } catch (error) {
      undo();
      throw unavailable(error);
    }
  }

  async #fetched(model: string): Promise<string> {
    try {
      if (this.#fetchModel === undefined) throw new Error('this process fetches no models; give a path');
      return await this.#fetchModel(model);
    } catch (error) {
      throw new AppError('invalid_value', { message: (error as Error).message, param: 'model' });
    }
  }

  #find(name: string): LocalBackend {
    const found = this.#fleet.localModels.find((backend) => backend.name === name);
    if (found === undefined)
      throw new AppError('model_not_found', { message: `There is no local model \`${name}\`.` });
    return found;
  }
}

function refuseTaken(name: string, config: Config | undefined): void {
  if ((config?.listen.workers ?? 1) > 1)
    throw new AppError('invalid_value', { message: 'Local models need `listen.workers: 1`.' });
  const names = config?.models.map((model) => model.name) ?? [];
  if (!names.includes(name) || config?.engines.map(engineName).includes(name)) return;
  throw new AppError('invalid_value', {
    message: `\`${name}\` is the name of a model in \`models\`: choose another.`,
    param: 'name',
  });
}

async function loaded({ local }: LocalBackend): Promise<void> {
  try {
    await local.load('operator');
  } catch (error) {
    throw unavailable(error);
  }
}

/** Operators are told why. */
function unavailable(error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (error instanceof ForeignSettingsError)
    return new AppError('invalid_value', { message: error.message, cause: error });
  return new AppError('model_unavailable', { message: (error as Error).message, cause: error });
}
