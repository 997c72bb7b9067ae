import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { launch } from '../launch.ts';
import { type Peer, UPSTREAM_MODEL } from '../peer.ts';
import { runToEnd } from '../processes.ts';

const binary = () =>
  ['/usr/sbin/nginx', '/usr/local/sbin/nginx', '/usr/bin/nginx'].find((path) => existsSync(path));

export const nginx: Peer = {
  name: 'nginx',
  setup:
    'one worker, keep-alive to the upstream, unbuffered replies, access log off; passes bytes on, knows no models',
  openRatePerSecond: 200,
  pacedStreams: 200,
  async install() {
    if (binary()) return;
    const apt = ['apt-get', '-qq', '-y', '--no-install-recommends', 'install', 'nginx-light'];
    await runToEnd(apt, { timeoutMs: 180_000, env: { DEBIAN_FRONTEND: 'noninteractive' } }).catch(
      async () => {
        await runToEnd(['apt-get', '-qq', 'update'], { timeoutMs: 120_000 });
        await runToEnd(apt, { timeoutMs: 180_000, env: { DEBIAN_FRONTEND: 'noninteractive' } });
      },
    );
  },
  async version() {
    // It tells on standard error.
    const told = await runToEnd(['sh', '-c', `${binary()} -v 2>&1`], { timeoutMs: 5_000 });
    return told.trim().replace('nginx version: nginx/', '');
  },
  async start(options) {
    const config = join(options.folder, 'nginx.conf');
    writeFileSync(config, configuration(options.port, new URL(options.upstreamUrl).host, options.folder));
    return launch(options, {
      command: [binary()!, '-c', config, '-p', options.folder, '-e', 'error.log'],
      readyPath: '/v1/models',
      model: UPSTREAM_MODEL,
    });
  },
};

function configuration(port: number, upstream: string, folder: string): string {
  return `daemon off;
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log warn;
events { worker_connections 4096; }
http {
  access_log off;
  tcp_nodelay on;
  keepalive_requests 100000000;
  client_max_body_size 32m;
  client_body_buffer_size 512k;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  upstream models { server ${upstream}; keepalive 512; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location / {
      proxy_pass http://models;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 600s;
    }
  }
}
`;
}
