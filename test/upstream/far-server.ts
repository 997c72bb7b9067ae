/** Asks a server that has eight addresses, in the network of `far_network.py`, and prints the status of its reply or why there is none. */
import type { RelayRequest } from '../../src/core/backend.ts';
import type { AppError } from '../../src/core/error.ts';
import { upstreamNames } from '../../src/upstream/http/name-lookup.ts';
import { createUpstream } from '../../src/upstream/upstream.ts';
import { startFakeUpstream } from '../fakes/openai-upstream.ts';

const { port } = await startFakeUpstream({ host: '10.9.0.1' });
upstreamNames.ask = async () =>
  Array.from({ length: 8 }, (_, i) => ({ address: `10.9.0.${i + 2}`, family: 4 }));
const upstream = createUpstream({ name: 'far', url: `http://far.test:${port}/v1`, emit() {} });
const body = Buffer.from('{"model":"m","messages":[]}');
const request: RelayRequest = {
  id: 'r',
  endpoint: 'chat',
  stream: false,
  includeUsage: false,
  wire: { dialect: 'openai', path: '/chat/completions', body },
};
const said = await upstream.relay!(request, { model: 'm', signal: new AbortController().signal }).then(
  ({ status }) => status,
  ({ cause }: AppError) => String(cause),
);
console.log(said);
process.exit();
