import { expect, it } from 'vitest';
import { type Resolver, resolveMembers, type ServiceRecord } from './resolver.ts';

const HOSTS: Record<string, readonly string[] | string> = {
  'one.test': ['10.0.0.1', 'fd00::1'],
  'two.test': ['10.0.0.2'],
  'gone.test': 'ENOTFOUND',
  'silent.test': 'EAI_AGAIN',
};

const members = (...hosts: string[]) => membersAt(() => 1, ...hosts);

const membersAt = (priority: (at: number) => number, ...hosts: string[]) =>
  membersOf(hosts.map((host, i) => ({ host, port: 8_000 + i, priority: priority(i) })));

const membersOf = (records: readonly ServiceRecord[]) => {
  const resolver: Resolver = {
    async addresses(host) {
      const found = HOSTS[host];
      if (typeof found === 'object') return found;
      throw Object.assign(new Error(`getaddrinfo ${found} ${host}`), { code: found });
    },
    services: async () => records,
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

it('finds those of the next priority where every host of the first is gone, and no others', async () => {
  const inTurn = (at: number) => at;
  expect(await membersAt(inTurn, 'gone.test', 'gone.test', 'two.test', 'one.test')).toEqual([
    { host: '10.0.0.2', port: 8_002 },
  ]);
  await expect(membersAt(inTurn, 'silent.test', 'two.test')).rejects.toThrow('EAI_AGAIN');
});

it('leaves out records that say that there is no such service', async () => {
  const [two, one] = [
    { host: 'two.test', port: 80, priority: 1 },
    { host: 'one.test', port: 0, priority: 1 },
  ];
  const none = ['', '.'].map((host) => ({ host, port: 80, priority: 0 }));
  expect(await membersOf([...none, two, one])).toEqual([{ host: '10.0.0.2', port: 80 }]);
  await expect(membersOf(none)).rejects.toThrow('no address');
});
