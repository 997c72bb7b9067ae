/** Types of stream.js, which stays JavaScript because k6 runs it. */
export function eventsOf(body: string): string[];
export function streamFaults(body: string, test: { kind: 'chat' | 'text'; usageAsked: boolean }): string[];
export function wholeFaults(body: string, test: { kind: 'chat' | 'text' }): string[];
