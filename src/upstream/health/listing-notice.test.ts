import { expect, it } from 'vitest';
import type { GatewayEvent } from '../../core/event.ts';
import { ListingNotice } from './listing-notice.ts';

function told(statuses: readonly number[], { root = 'http://host:8000/v1', hasKey = false } = {}) {
  const events: GatewayEvent[] = [];
  const emit = (event: GatewayEvent) => void events.push(event);
  const notice = new ListingNotice({ upstream: 'up', url: `${root}/models`, hasKey, emit });
  for (const status of statuses) notice.answered(status);
  return events.map((event) => (event.type === 'upstream-listing-changed' ? event.problem : event));
}

it('tells once what a server refuses, and once that it no longer does', () => {
  const refused = { detail: 'HTTP 401 for http://host:8000/v1/models' };
  expect(told([401, 401, 503, 429, 401, 200, 200, 401])).toMatchObject([refused, undefined, refused]);
  expect(told([401, 404])).toMatchObject([refused, { detail: expect.stringContaining('HTTP 404') }]);
  expect(told([200, 503, 200])).toEqual([]);
});

it.each([
  [401, { hasKey: false }, 'set its apiKey: the server wants one'],
  [403, { hasKey: true }, 'set its apiKey to one that the server knows'],
  [404, { root: 'http://host:8000' }, 'perhaps http://host:8000/v1'],
  [404, { root: 'http://host:8000/v1' }, 'perhaps http://host:8000'],
  [301, { root: 'http://host:8000/api' }, 'perhaps http://host:8000/api/v1'],
])('says of HTTP %d with %o what to do', (status, options, fix) => {
  expect(told([status], options)).toEqual([
    { detail: expect.any(String), fix: expect.stringContaining(fix) },
  ]);
});
