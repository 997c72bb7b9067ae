import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '../config/schema.ts';
import type { Authenticator } from './access/authenticator.ts';
import type { RunningAdmission } from './admission/create-admission.ts';
import type { Emit, GatewayEvent } from './core/event.ts';
import { AlarmWebhook } from './ledger/alarm-webhook.ts';
import { type BudgetAlarm, BudgetAlarms } from './ledger/budget-alarms.ts';
import type { SpentTotals } from './ledger/spent.ts';
import { SpentWatch } from './ledger/spent-watch.ts';
import type { PastSpending } from './past-spending.ts';
import type { LateDatabase } from './store/late-database.ts';
import type { Logger } from './telemetry/log.ts';

export interface SpentBudgetsOptions {
  readonly config: Config;
  readonly logger: Logger;
  readonly emit: Emit;
  readonly database: LateDatabase;
  readonly past: PastSpending;
  readonly admission: RunningAdmission;
}

/** How often what was settled elsewhere is read, where several gateways spend from one budget. */
const TOTALS_MS = 5_000;
/** A gateway that spends alone keeps count itself, and looks only for what it could not know. */
const OWN_TOTALS_MS = 300_000;
/** The start waits no longer than this for a database or a Redis that does not answer … */
const START_MS = 3_000;
/** … and for what was spent before where the database does, on a machine that has much to do: whoever has a budget is not served until it is known. */
const SPENT_MS = 20_000;

/** Without keys nobody's usage is recorded. */
const NOTHING_SPENT: SpentTotals = {
  key: new Map(),
  project: new Map(),
  organization: new Map(),
  model: new Map(),
};

/** Budgets go on from what the ledger has, whichever process spent it. Alarms go off when one is nearly used up. */
export class SpentBudgets {
  readonly #options: SpentBudgetsOptions;
  readonly #watch: SpentWatch;
  readonly #alarms: BudgetAlarms;
  readonly #webhook: AlarmWebhook | undefined;
  #door: Pick<Authenticator, 'noKeys'> | undefined;

  /** @throws Error if the webhook is neither https nor on this machine */
  constructor(options: SpentBudgetsOptions) {
    this.#options = options;
    const { config, logger, database, admission } = options;
    this.#webhook = config.budgets.webhook && webhookOf(config.budgets.webhook, logger);
    this.#alarms = new BudgetAlarms({
      database: () => database.get(),
      totals: async (nowMs) => this.#watch.latestOf(nowMs) ?? NOTHING_SPENT,
      shares: config.budgets.alarmAt,
      onAlarm: (alarm) => this.#tell(alarm),
    });
    const isShared = config.listen.workers * config.limits.replicas > 1 || config.redis !== null;
    this.#watch = new SpentWatch({
      read: (atMs) => this.#read(atMs),
      nowMs: () => admission.nowMs(),
      onSpent: (totals, atMs) => {
        admission.refreshSpent(totals, atMs);
        void this.#alarms.refresh();
      },
      onProblem(problem) {
        if (problem === undefined) logger.info('what was spent before is known');
        else logger.error({ problem }, 'what was spent before cannot be read: whoever has a budget gets 503');
      },
      everyMs: isShared ? TOTALS_MS : OWN_TOTALS_MS,
    });
  }

  /** Resolves when it is known what was spent before, or when the start can wait no longer for that. */
  async start(door: Pick<Authenticator, 'noKeys' | 'problem'>): Promise<void> {
    this.#door = door;
    const { admission, past } = this.#options;
    await Promise.race([
      Promise.all([this.#watch.look(), admission.ready]),
      delay(START_MS, undefined, { ref: false }),
    ]);
    await this.#watch.untilKnown(() => door.problem === undefined, SPENT_MS);
    past.servingBegins();
  }

  /** Somebody knows what is left of budgets. */
  get areKnown(): boolean {
    return this.#watch.latest !== undefined;
  }

  /** The database answers again. */
  databaseIsBack(): void {
    if (!this.areKnown) void this.#watch.look();
  }

  /** To be told everything. */
  readonly observe = (event: GatewayEvent): void => this.#alarms.observe(event);

  async close(): Promise<void> {
    this.#watch.close();
    this.#webhook?.close();
    await this.#alarms.close();
  }

  async #read(atMs: number): Promise<SpentTotals> {
    return this.#door?.noKeys ? NOTHING_SPENT : await this.#options.past.totals(atMs);
  }

  /** Resolves to whether all have been told. */
  async #tell(alarm: BudgetAlarm): Promise<boolean> {
    const { subject, subjectId, period, share, budgetNanoUsd, spentNanoUsd } = alarm;
    const raised = { subject, subjectId, period, share, budgetNanoUsd, spentNanoUsd };
    this.#options.emit({ type: 'budget-alarm-raised', ...raised });
    return this.#webhook === undefined || (await this.#webhook.send(alarm));
  }
}

function webhookOf(
  settings: { readonly url: string; readonly secret: string },
  logger: Logger,
): AlarmWebhook {
  return new AlarmWebhook({
    ...settings,
    onGivenUp: ({ subject, subjectId, period, share }, reason) =>
      logger.error(
        { subject, subjectId, period, share, reason },
        'an alarm could not be brought to the webhook',
      ),
  });
}
