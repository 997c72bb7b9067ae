import type { Context, Hono } from 'hono';
import { type EngineConfig, engine } from '../../../config/engine.ts';
import type { BackendHealth } from '../../core/backend.ts';
import { AppError } from '../../core/error.ts';
import type { AppEnv } from '../http/app-env.ts';
import { parseJson } from '../http/parse-json.ts';
import { fromIssues, invalidValue } from '../openai/invalid-request.ts';

/** What operators see of a local model. Null: nobody knows yet, or it has none. */
export interface LocalModelView {
  readonly name: string;
  readonly kind: 'engine' | 'encoder';
  /** Where it comes from; what operators have added is not kept over a restart. Null: nobody wants it any more. */
  readonly origin: 'configuration' | 'operator' | null;
  /** It has been replaced or removed, and finishes what it has begun. */
  readonly leaving: boolean;
  readonly state: 'unloaded' | 'loading' | 'ready' | 'unloading' | 'failed';
  /** Why. */
  readonly detail: string;
  readonly path: string | null;
  /** Of its process. */
  readonly pid: number | null;
  readonly load: 'start' | 'demand';
  readonly keepAliveMs: number | null;
  readonly memory: {
    /** What it counts for in the budget: all that it may come to take. 0 while it is not in memory. */
    readonly budgetedBytes: number;
    /** The same, as it was last known. */
    readonly expectedBytes: number | null;
    /** What its process takes now. */
    readonly residentBytes: number | null;
    /** Its process is ended when it takes more. */
    readonly limitBytes: number;
    readonly kvBytes: number | null;
    readonly prefixCacheBytes: number | null;
  };
  readonly architecture: string | null;
  readonly provider: string | null;
  readonly threads: number | null;
  readonly slots: number | null;
  readonly contextTokens: number | null;
  readonly inFlight: number;
  readonly queued: number;
  /** ISO 8601. */
  readonly loadedSince: string | null;
  readonly lastUsed: string | null;
  readonly health: BackendHealth;
}

export interface MemoryView {
  readonly budgetBytes: number;
  /** False: nobody has said so; it is a share of the machine's memory. */
  readonly configured: boolean;
  readonly budgetedBytes: number;
  readonly residentBytes: number;
}

/** What all these throw is an AppError. */
export interface ModelAdmin {
  memory(): MemoryView;
  models(): readonly LocalModelView[];
  /** With settings it is a new model, or takes the place of the one of that name once it is ready. */
  load(name: string, settings: EngineConfig | undefined): Promise<void>;
  /** Running requests finish first. */
  unload(name: string): Promise<void>;
  /** Only what operators have added; of what they have put into the place of a configured model, that one comes back. */
  remove(name: string): Promise<void>;
}

const MOST_BODY_BYTES = 64 * 1024;

/**
 * Bringing local models into memory, and out of it, while the gateway runs. Replies come when it is done; with `?wait=false` at
 * once, with 202. Names with a slash are sent with %2F.
 */
export function modelAdminRoutes(app: Hono<AppEnv>, admin: ModelAdmin): void {
  type NamedContext = Context<AppEnv, '/admin/models/:name'>;
  const view = (name: string) => admin.models().filter((model) => model.name === name);
  const demand = (name: string) => {
    if (view(name).some(({ leaving }) => !leaving)) return;
    throw new AppError('model_not_found', { message: `There is no local model \`${name.slice(0, 200)}\`.` });
  };
  const change = async (c: NamedContext, done: Promise<void>) => {
    const name = c.req.param('name');
    if (c.req.query('wait') === 'false') {
      // Its end is told in the log, and shown by the next GET.
      done.catch(() => {});
      return c.json({ models: view(name) }, 202);
    }
    await done;
    return c.json({ models: view(name) });
  };
  app.get('/admin/models', (c) => c.json({ memory: admin.memory(), models: admin.models() }));
  app.get('/admin/models/:name', (c) => {
    demand(c.req.param('name'));
    return c.json({ models: view(c.req.param('name')) });
  });
  app.post('/admin/models/:name/load', async (c) => {
    const name = c.req.param('name');
    const settings = await readSettings(c, name);
    if (settings === undefined) demand(name);
    return change(c, admin.load(name, settings));
  });
  app.post('/admin/models/:name/unload', (c) => {
    demand(c.req.param('name'));
    return change(c, admin.unload(c.req.param('name')));
  });
  app.delete('/admin/models/:name', (c) => {
    demand(c.req.param('name'));
    return change(c, admin.remove(c.req.param('name')));
  });
}

/** The body is an entry of `engines` without its name. Undefined: there is none, or it is `{}`. */
async function readSettings(c: Context<AppEnv>, name: string): Promise<EngineConfig | undefined> {
  const body = await c.get('call').readJson(MOST_BODY_BYTES);
  if (body.length === 0) return undefined;
  const value = parseJson(body);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidValue(undefined, 'must be an object: an entry of `engines`');
  if (Object.keys(value).length === 0) return undefined;
  if ('name' in value && value.name !== name)
    throw invalidValue('name', 'must be the one of the path, or be left out');
  const named = { ...value, name };
  const parsed = engine.safeParse(named);
  if (!parsed.success) {
    const unknown = parsed.error.issues.find((issue) => issue.code === 'unrecognized_keys');
    if (unknown !== undefined) throw invalidValue(unknown.keys[0], 'is no setting of an engine');
    throw fromIssues(parsed.error.issues, named);
  }
  return parsed.data;
}
