import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { headerLine } from '../api/http/header-lines.ts';
import { PlainReply, type ReplyHost } from './plain-reply.ts';

/** Two ends of a connection. */
async function pair(): Promise<{ readonly socket: Socket; readonly client: Socket }> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [socket] = (await accepted) as [Socket];
  for (const end of [client, socket]) end.on('error', () => {});
  onTestFinished(() => {
    client.destroy();
    socket.destroy();
    server.close();
  });
  return { socket, client };
}

async function replyOver(keepAlive = true, closing = false) {
  const { socket, client } = await pair();
  const replied: boolean[] = [];
  const host: ReplyHost = {
    socket,
    signal: new AbortController().signal,
    keepAliveMs: 75_000,
    closing,
    replied: (keepAlive) => void replied.push(keepAlive),
  };
  const reply = new PlainReply(host, keepAlive);
  socket.on('drain', () => reply.drainedNow());
  socket.on('close', () => reply.drainedNow());
  const writes = vi.spyOn(socket, 'write');
  let text = '';
  client.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1');
  });
  const received = (end: string) => vi.waitFor(() => expect(text.endsWith(end)).toBe(true), 5_000);
  return { socket, client, reply, replied, writes, received, text: () => text };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('a reply', () => {
  it('with a length goes out as it is, in one write', async () => {
    const { reply, replied, writes, received, text } = await replyOver();
    reply.start(200, headerLine('content-type', 'text/plain'), 5);
    reply.write('hel');
    reply.end(Buffer.from('lo'));
    expect([reply.started, writes.mock.calls.length]).toEqual([true, 0]);
    await received('hello');
    expect(writes).toHaveBeenCalledTimes(1);
    expect(replied).toEqual([true]);
    const [head] = text().split('\r\n\r\n');
    const [status, ...lines] = head!.split('\r\n');
    expect(status).toBe('HTTP/1.1 200 OK');
    expect(lines.filter((line) => !line.startsWith('date: '))).toEqual([
      'content-type: text/plain',
      'content-length: 5',
      'connection: keep-alive',
      'keep-alive: timeout=75',
    ]);
    expect(new Date(/date: (.*)/.exec(head!)![1]!).getTime()).toBeGreaterThan(Date.now() - 3_000);
  });

  it('without a length goes out in chunks, one for each turn of the event loop', async () => {
    const { reply, writes, received, text } = await replyOver();
    reply.start(200, headerLine('content-type', 'text/event-stream'));
    reply.write('é');
    reply.write(Buffer.from('b'));
    reply.write('');
    await turn();
    await turn();
    reply.write('cc');
    reply.end('d');
    await received('0\r\n\r\n');
    expect(writes).toHaveBeenCalledTimes(2);
    expect(text().split('\r\n\r\n').slice(1).join('\r\n\r\n')).toBe(
      '3\r\n\xc3\xa9b\r\n3\r\nccd\r\n0\r\n\r\n',
    );
    expect(text()).toContain('transfer-encoding: chunked\r\n');
  });

  it('that is whole goes out at once, where nothing else is to be written, and its connection is told when the turn is over', async () => {
    const { reply, replied, writes, received } = await replyOver();
    reply.start(200, '');
    reply.end('a');
    expect([writes.mock.calls.length, replied]).toEqual([1, []]);
    await received('\r\n\r\n1\r\na\r\n0\r\n\r\n');
    expect([writes.mock.calls.length, replied]).toEqual([1, [true]]);
  });

  it('waits for the end of the turn behind others, and in the turn after that', async () => {
    const others = await replyOver();
    const { reply, writes } = await replyOver();
    const { reply: later, writes: laterWrites } = await replyOver();
    for (const one of [others.reply, reply, later]) one.start(200, '');
    others.reply.end('a');
    reply.end('b');
    expect([others.writes.mock.calls.length, writes.mock.calls.length]).toEqual([1, 0]);
    await turn();
    expect(writes).toHaveBeenCalledTimes(1);
    later.end('c');
    expect(laterWrites).not.toHaveBeenCalled();
    await turn();
    expect(laterWrites).toHaveBeenCalledTimes(1);
  });

  it('in chunks may have none', async () => {
    const { reply, received, text } = await replyOver();
    reply.start(200, '');
    reply.end();
    await received('0\r\n\r\n');
    expect(text()).toMatch(/\r\n\r\n0\r\n\r\n$/);
  });

  it.each([100, 16 * 1024, 16 * 1024 + 1, 300_000])(
    'of %i bytes has all of them, whatever they are',
    async (size) => {
      const { reply, received, text } = await replyOver();
      const body = Buffer.from(Array.from({ length: size }, (_, i) => (i * 7) % 256));
      reply.start(200, '');
      reply.write(body.subarray(0, 50));
      reply.write(Uint8Array.from(body.subarray(50, 60)));
      reply.end(body.subarray(60));
      await received('\r\n0\r\n\r\n');
      const sent = text().slice(text().indexOf('\r\n\r\n') + 4);
      expect(sent === `${size.toString(16)}\r\n${body.toString('latin1')}\r\n0\r\n\r\n`).toBe(true);
    },
  );

  it('counts what half a character takes', async () => {
    const { reply, received, text } = await replyOver();
    reply.start(200, '');
    reply.end('a\ud800b');
    await received('0\r\n\r\n');
    expect(text()).toContain('\r\n\r\n5\r\na\xef\xbf\xbdb\r\n0\r\n\r\n');
  });

  it('ends once', async () => {
    const { reply, replied, received, text } = await replyOver();
    reply.start(200, '');
    reply.end('a');
    reply.end('b');
    reply.write('c');
    await received('0\r\n\r\n');
    await turn();
    expect(text()).toContain('\r\n\r\n1\r\na\r\n0\r\n\r\n');
    expect(replied).toEqual([true]);
  });

  it.each([
    ['the client', false, false, false],
    ['a gateway that closes', true, true, false],
    ['the reply itself', true, false, true],
  ])('says that the connection ends, where %s wants that', async (_, keepAlive, closing, close) => {
    const { reply, replied, received, text } = await replyOver(keepAlive, closing);
    reply.start(503, '', undefined, close);
    reply.end();
    await received('0\r\n\r\n');
    expect(text().match(/^connection: .*$/gm)).toEqual(['connection: close']);
    expect(text()).not.toContain('keep-alive');
    expect(replied).toEqual([false]);
  });

  it('has a status line also for a status without a name', async () => {
    const { reply, received, text } = await replyOver();
    reply.start(529, '');
    reply.end();
    await received('0\r\n\r\n');
    expect(text()).toMatch(/^HTTP\/1\.1 529 Unknown\r\n/);
  });

  it('of which nothing is out can be taken back, and another one stands in its place', async () => {
    const { reply, received, text } = await replyOver();
    reply.start(200, headerLine('content-type', 'text/plain'), 5);
    reply.write('hel');
    expect([reply.takeBack(), reply.started]).toEqual([true, false]);
    reply.start(502, '', 4);
    reply.end('sigh');
    await received('sigh');
    expect(text()).toMatch(/^HTTP\/1\.1 502 Bad Gateway\r\ncontent-length: 4\r\n/);
    expect(text()).not.toContain('hel');
  });

  it('of which something is out cannot be taken back', async () => {
    const { reply, received } = await replyOver();
    reply.start(200, '', 5);
    reply.write('hel');
    await received('hel');
    expect([reply.takeBack(), reply.started]).toEqual([false, true]);
  });

  it('that breaks off sends nothing more', async () => {
    const { reply, client, replied, text } = await replyOver();
    reply.start(200, '');
    reply.write('a');
    reply.destroy();
    await once(client, 'close');
    reply.write('b');
    reply.end();
    await turn();
    expect([text(), replied]).toEqual(['', []]);
  });
});

describe('a client that does not read', () => {
  const block = Buffer.alloc(64 * 1024, 'x');

  async function filled() {
    const made = await replyOver();
    made.client.pause();
    made.reply.start(200, '');
    while (made.reply.write(block) || made.socket.writableLength === 0) await turn();
    return made;
  }

  it('is waited for', async () => {
    const { reply, client } = await filled();
    let drained = false;
    const waiting = reply.drained().then(() => {
      drained = true;
    });
    await turn();
    expect(drained).toBe(false);
    client.resume();
    await waiting;
  });

  it('is not waited for when it has left', async () => {
    const { reply, client, socket } = await filled();
    const waiting = reply.drained();
    client.destroy();
    await waiting;
    await vi.waitFor(() => expect(socket.destroyed).toBe(true));
    await reply.drained();
  });

  it('is not waited for where there is room', async () => {
    const { reply } = await replyOver();
    reply.start(200, '');
    expect(reply.write('a')).toBe(true);
    await reply.drained();
  });

  it('fills no memory once it has left', async () => {
    const { reply, socket } = await filled();
    socket.destroy();
    for (let i = 0; i < 3; i++) {
      reply.write(block);
      await turn();
    }
    await turn();
    // What would be kept is full by now.
    expect(reply.write('a')).toBe(true);
  });
});
