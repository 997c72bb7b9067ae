import { performance, type UVMetrics } from 'node:perf_hooks';

/** Which of the event loop's questions to the system brought what is handled now. */
export type Poll = Pick<UVMetrics, 'loopCount' | 'events'>;

/** It costs as much as a clock or two. */
export function currentPoll(): Poll {
  return performance.nodeTiming.uvMetricsInfo;
}

/**
 * In one answer the system tells of at most 1,024 sockets; where more are ready, libuv asks again in the same turn of the
 * event loop. What is read then came after everything that was done upon the first answer.
 *
 * @returns Whether it is still the turn that it was then, but another answer.
 */
export function isAskedAgain(then: Poll): boolean {
  const now = currentPoll();
  return now.loopCount === then.loopCount && now.events > then.events;
}
