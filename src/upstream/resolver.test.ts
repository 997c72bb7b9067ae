import { expect, it } from 'vitest';
import { type Resolver, resolveMembers } from './resolver.ts';

const HOSTS: Record<string, readonly string[] | string> = {
  'one.test': ['10.0.0.1', 'fd00::1'],
  'two.test': ['10.0.0.2'],
  'gone.test': 'ENOTFOUND',
  'silent.test': 'EAI_AGAIN',
};

const members = (...hosts: string[]) => {
  const resolver: Resolver = {
    async addresses(host) {
      const found = HOSTS[host];
      if (typeof found === 'object') return found;
      throw Object.assign(new Error(`getaddrinfo ${found} ${host}`), { code: found });
    },
    services: async () => hosts.map((host, i) => ({ host, port: 8_000 + i, priority: 1 })),
  };
  return resolveMembers({ type: 'srv', name: '_api._tcp.test', port: 80 }, resolver);
};

it('finds the servers of a service without those whose host is gone', async () => {
  expect(await members('gone.test', 'two.test', 'one.test')).toEqual([
    { host: '10.0.0.1', port: 8_002 },
    { host: '10.0.0.2', port: 8_001 },
    { host: 'fd00::1', port: 8_002 },
  ]);
});

it('finds none where nobody knows of one whether it is gone, or where all are', async () => {
  await expect(members('one.test', 'silent.test')).rejects.toThrow('EAI_AGAIN');
  await expect(members('gone.test')).rejects.toThrow('ENOTFOUND');
  await expect(members()).rejects.toThrow('no address');
});
