import type { GenerateRequest } from '../../core/request.ts';
import { isMedia } from './media.ts';

/** Of a request's prompts. Pictures and sound are read by other measures than text, and have none here. */
export function promptSizeBytes({ requirements, prompts, wire }: GenerateRequest): number {
  if (!requirements.some(isMedia)) return wire.body.length;
  let bytes = 0;
  for (const prompt of prompts)
    if (prompt.kind === 'chat')
      for (const { content } of prompt.messages)
        for (const part of content) if (part.type === 'text') bytes += Buffer.byteLength(part.text);
  return bytes;
}
