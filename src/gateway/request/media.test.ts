import { expect, it } from 'vitest';
import type { GenerateRequest } from '../../core/request.ts';
import { mediaOf } from './media.ts';

/** One channel of 16 bit at 8 kHz: 16,000 bytes are a second. */
function wav(soundBytes: number): string {
  const header = Buffer.alloc(44);
  header.write('RIFF', 0);
  header.writeUInt32LE(36 + soundBytes, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16_000, 28);
  header.write('data', 36);
  return Buffer.concat([header, Buffer.alloc(soundBytes)]).toString('base64');
}

const secondsOf = (data: string, format: string) =>
  mediaOf({
    requirements: [{ capability: 'audio' }],
    prompts: [{ kind: 'chat', messages: [{ content: [{ type: 'audio', data, format }] }] }],
  } as unknown as GenerateRequest).audioSeconds;

it.each([16_000, 16_001, 48_000])(
  'counts the sound of a WAV of %i bytes, and not what is around it',
  (bytes) => {
    expect(secondsOf(wav(bytes), 'wav')).toBe(bytes / 16_000);
  },
);

it('takes what is too short for a header for no sound', () => {
  expect(secondsOf('', 'wav')).toBe(0);
});

it('goes by what sound usually is where a format does not say', () => {
  expect(secondsOf(Buffer.alloc(32_000).toString('base64'), 'mp3')).toBe(2);
});
