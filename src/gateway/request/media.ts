import { type Media, NO_MEDIA } from '../../../routers/request.ts';
import type { ContentPart } from '../../core/message.ts';
import type { GenerateRequest, Requirement } from '../../core/request.ts';

const MEDIA: ReadonlySet<Requirement['capability']> = new Set(['image', 'audio', 'file']);

/** For formats that do not say how long they last: 128 kbit/s, which speech and music are usually sent with. */
const USUAL_BYTES_PER_SECOND = 16_000;
/** 192 kHz, 24 bit, two channels. */
const MAX_BYTES_PER_SECOND = 1_152_000;
const WAV_HEADER_BYTES = 44;
const WAV_HEADER_CHARS = 64;
const BYTE_RATE_AT = 28;

/** Something other than text has to be read, whether it has a price or not. */
export function isMedia({ capability }: Requirement): boolean {
  return MEDIA.has(capability);
}

/** What a request has of pictures and sound. */
export function mediaOf({ requirements, prompts }: GenerateRequest): Media {
  if (!requirements.some(({ capability }) => capability === 'image' || capability === 'audio'))
    return NO_MEDIA;
  let images = 0;
  let audioSeconds = 0;
  for (const prompt of prompts) {
    if (prompt.kind !== 'chat') continue;
    for (const { content } of prompt.messages)
      for (const part of content) {
        if (part.type === 'image') images += 1;
        else if (part.type === 'audio') audioSeconds += secondsOf(part);
      }
  }
  return { images, audioSeconds };
}

/** A WAV header tells its bytes per second: RIFF, little-endian, at byte 28. */
function secondsOf({ data, format }: ContentPart & { type: 'audio' }): number {
  const sizeBytes = Buffer.byteLength(data, 'base64');
  if (format !== 'wav') return sizeBytes / USUAL_BYTES_PER_SECOND;
  const header = Buffer.from(data.slice(0, WAV_HEADER_CHARS), 'base64');
  const stated = header.length >= BYTE_RATE_AT + 4 ? header.readUInt32LE(BYTE_RATE_AT) : 0;
  // A client that states a higher rate than sound has would pay less.
  const bytesPerSecond = stated >= 1_000 && stated <= MAX_BYTES_PER_SECOND ? stated : USUAL_BYTES_PER_SECOND;
  return Math.max(0, sizeBytes - WAV_HEADER_BYTES) / bytesPerSecond;
}
