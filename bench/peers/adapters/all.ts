import type { Peer } from '../peer.ts';
import { litellm } from './litellm.ts';
import { nginx } from './nginx.ts';
import { nodeBare } from './node-bare.ts';
import { portkey } from './portkey.ts';
import { qianmen } from './qianmen.ts';
import { sglangRouter } from './sglang-router.ts';
import { vllmRouter } from './vllm-router.ts';

export const allPeers: readonly Peer[] = [
  qianmen,
  nodeBare,
  nginx,
  vllmRouter,
  sglangRouter,
  portkey,
  litellm,
];
