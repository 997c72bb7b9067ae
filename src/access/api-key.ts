import { createHash, randomBytes } from 'node:crypto';
import { newId } from '../store/id.ts';

const SECRET_BYTES = 32;

/** A new key: its public id, the secret that is shown once, and the hash that is kept. */
export function newApiKey(): { readonly id: string; readonly secret: string; readonly hash: Buffer } {
  const secret = `qm_${randomBytes(SECRET_BYTES).toString('base64url')}`;
  return { id: newId('key'), secret, hash: hashApiKey(secret) };
}

/** SHA-256 of the whole secret, 32 bytes. 256 random bits need no slow hash. */
export function hashApiKey(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

const SHAPE = /^qm_[A-Za-z0-9_-]{43}$/;

/** Whether it may be a secret of ours: looked at before anything else is done with it. */
export function isApiKeyShaped(text: string): boolean {
  return SHAPE.test(text);
}
