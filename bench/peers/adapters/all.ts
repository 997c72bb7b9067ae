import type { Peer } from '../peer.ts';
import { litellm } from './litellm.ts';
import { nginx } from './nginx.ts';
import { nodeBare } from './node-bare.ts';
import { portkey } from './portkey.ts';
import { qianmen, qianmenOpen } from './qianmen.ts';
import { sglangRouter } from './sglang-router.ts';
import { vllmRouter } from './vllm-router.ts';

export const allPeers: readonly Peer[] = [
  qianmen,
  qianmenOpen,
  nodeBare,
  nginx,
  vllmRouter,
  sglangRouter,
  portkey,
  litellm,
];
