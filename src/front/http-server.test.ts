import { createServer } from 'node:http';
import { expect, it } from 'vitest';
import { configSchema } from '../../config/schema.ts';
import { listen } from './http-server.ts';

it('names the setting where a machine does not have the address', async () => {
  const config = configSchema.parse({ listen: { host: '192.0.2.1', port: 18_080 } });
  const server = createServer();
  await expect(listen(server, config, () => {})).rejects.toThrow(
    'This machine has no address 192.0.2.1. Set listen.host',
  );
});
