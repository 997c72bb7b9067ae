import { type DestinationStream, type Logger, pino } from 'pino';
import type { GatewayEvent, RequestSettled } from '../core/event.ts';
import { LogOutput } from './log-output.ts';

export type { Logger } from 'pino';

let stdout: LogOutput | undefined;

/** One for all loggers of the process: their lines keep their order, and are written out once when it ends. */
function standardOutput(): LogOutput {
  stdout ??= new LogOutput(1);
  return stdout;
}

/** @param destination Default: stdout. */
export function createLogger(level: string, destination: DestinationStream = standardOutput()): Logger {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
}

/** Turns events into log lines: one per request, never with content. */
export function logEvents(logger: Logger): (event: GatewayEvent) => void {
  return (event) => {
    switch (event.type) {
      case 'request-settled':
        logRequest(logger, event);
        break;
      case 'request-refused': {
        const { requestId, status, code, param, cause } = event;
        if (code === 'internal_error') logger.error({ requestId, status, code, err: cause }, 'request');
        else logger.info({ requestId, outcome: 'refused', status, code, param }, 'request');
        break;
      }
      case 'engine-state-changed': {
        const { engine, state, detail } = event;
        logger[state === 'down' ? 'error' : 'info']({ engine, state, detail }, 'engine');
        break;
      }
      case 'upstream-health-changed': {
        const { upstream, healthy, detail } = event;
        logger[healthy ? 'info' : 'warn']({ upstream, healthy, detail }, 'upstream');
        break;
      }
      case 'upstream-models-missing': {
        const { upstream, missing } = event;
        if (missing.length > 0) logger.warn({ upstream, missing }, 'upstream does not list its models');
        else logger.info({ upstream }, 'upstream lists its models');
        break;
      }
      case 'upstream-listing-changed': {
        const { upstream, problem } = event;
        if (problem !== undefined) logger.warn({ upstream, ...problem }, 'upstream does not tell its models');
        else logger.info({ upstream }, 'upstream tells its models');
        break;
      }
      case 'upstream-members-changed': {
        const { upstream, added, removed, problem } = event;
        if (problem === undefined) logger.info({ upstream, added, removed }, 'upstream members found');
        else logger.warn({ upstream, problem }, 'upstream members cannot be found; those known stay');
        break;
      }
      case 'config-reloaded': {
        const { ok, detail, ignored } = event;
        if (ok) logger.info({ changes: detail }, 'configuration reloaded');
        else logger.error({ reason: detail }, 'configuration refused; the last good one stays');
        if (ignored.length > 0) logger.warn({ ignored }, 'these settings change with a restart only');
        break;
      }
      case 'local-model-changed': {
        const { model, change, reason, detail } = event;
        logger[change === 'refused' ? 'error' : 'info']({ model, change, reason, detail }, 'local model');
        break;
      }
      case 'engine-setting-reduced': {
        const { engine, setting, configured, used } = event;
        logger.warn({ engine, setting, configured, used }, 'more than the model can do; it serves with less');
        break;
      }
      case 'engine-limit-low': {
        const { engine, memoryLimitBytes, expectedBytes } = event;
        const fields = { engine, memoryLimitBytes, expectedBytes };
        logger.warn(fields, 'may come to take more than memoryLimitBytes, and is ended then');
        break;
      }
      case 'canary-rolled-back': {
        const { model, deployment, reason, detail } = event;
        logger.error({ model, deployment, reason, detail }, 'canary rolled back');
        break;
      }
      case 'canary-resumed': {
        const { model, deployment } = event;
        logger.info({ model, deployment }, 'canary on trial again');
        break;
      }
      case 'shadow-settled': {
        const { model, deployment, outcome, cause } = event;
        logger.debug({ model, deployment, outcome, cause: causeText(cause) }, 'shadow');
        break;
      }
      case 'budget-alarm-raised': {
        const { type, ...alarm } = event;
        logger.warn(alarm, 'budget nearly used up');
        break;
      }
      case 'request-admitted':
      case 'request-begun':
      case 'engine-stepped':
      case 'encoder-batched':
        break;
    }
  };
}

function logRequest(logger: Logger, event: RequestSettled): void {
  if (event.outcome !== 'error' && !logger.isLevelEnabled('info')) return;
  const { requestId, endpoint, model, stream, outcome, status, code, deployment, attempts, usage, cause } =
    event;
  const line = {
    requestId,
    endpoint,
    model,
    stream,
    outcome,
    status,
    code,
    deployment,
    attempts: attempts.length,
    durationMs: Math.round(event.durationMs),
    ttftMs: event.ttftMs === undefined ? undefined : Math.round(event.ttftMs),
    promptTokens: usage.promptTokens,
    completionTokens: usage.completionTokens,
  };
  if (code === 'internal_error') logger.error({ ...line, err: cause }, 'request');
  else if (outcome === 'error') logger.warn({ ...line, cause: causeText(cause) }, 'request');
  else logger.info(line, 'request');
}

function causeText(cause: unknown): string | undefined {
  if (cause === undefined) return undefined;
  return (cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause)).slice(0, 500);
}
