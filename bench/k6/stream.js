// Reads a whole OpenAI event stream and says what is wrong with it. No k6 inside, so that it can be tested anywhere.

/**
 * Splits a text/event-stream body into its `data` payloads. Comment lines (heartbeats) are dropped. An event that is not
 * ended by an empty line is returned too, so that a broken-off stream does not look complete by accident.
 */
export function eventsOf(body) {
  const events = [];
  for (const block of body.split(/\r?\n\r?\n/)) {
    const lines = block.split(/\r?\n/).filter((line) => line.startsWith('data:'));
    if (lines.length > 0) events.push(lines.map((line) => line.slice(5).replace(/^ /, '')).join('\n'));
  }
  return events;
}

/**
 * Faults of a streamed reply to one prompt with one choice; an empty list is a faithful stream.
 * `kind` is 'chat' or 'text'; `usageAsked` is whether the request had `stream_options.include_usage`.
 */
export function streamFaults(body, { kind, usageAsked }) {
  const faults = [];
  const events = eventsOf(body);
  const dones = events.filter((data) => data === '[DONE]').length;
  if (dones !== 1) faults.push(`[DONE] came ${dones} times`);
  if (events[events.length - 1] !== '[DONE]') faults.push('[DONE] is not last');

  const chunks = [];
  for (const data of events) {
    if (data === '[DONE]') continue;
    try {
      chunks.push(JSON.parse(data));
    } catch {
      faults.push(`not JSON: ${data.slice(0, 80)}`);
    }
  }
  if (chunks.length === 0) return [...faults, 'no chunks'];
  for (const chunk of chunks)
    if (chunk.error) faults.push(`error event: ${JSON.stringify(chunk.error).slice(0, 200)}`);
  for (const field of ['id', 'object', 'model', 'created']) {
    const values = new Set(chunks.map((chunk) => chunk[field]));
    if (values.size !== 1 || values.has(undefined)) faults.push(`${field} is not the same in all chunks`);
  }

  const withChoice = chunks.filter((chunk) => chunk.choices && chunk.choices.length > 0);
  if (withChoice.length === 0) return [...faults, 'no choices'];
  if (kind === 'chat' && withChoice[0].choices[0].delta?.role !== 'assistant')
    faults.push('the first delta has no role');
  const finished = withChoice.filter((chunk) => chunk.choices.some((choice) => choice.finish_reason));
  if (finished.length !== 1) faults.push(`finish_reason came ${finished.length} times`);
  else if (finished[0] !== withChoice[withChoice.length - 1]) faults.push('content after finish_reason');
  if (textOf(chunks, kind) === '') faults.push('no text');

  faults.push(...usageFaults(chunks, usageAsked));
  return faults;
}

function usageFaults(chunks, usageAsked) {
  const withUsage = chunks.filter((chunk) => chunk.usage);
  if (!usageAsked) return withUsage.length === 0 ? [] : ['usage was sent though not asked for'];
  if (withUsage.length !== 1) return [`usage came ${withUsage.length} times`];
  const faults = [];
  const [chunk] = withUsage;
  if (chunk !== chunks[chunks.length - 1]) faults.push('usage is not the last chunk');
  if (chunk.choices.length !== 0) faults.push('the usage chunk has choices');
  return faults.concat(totalFaults(chunk.usage));
}

function totalFaults(usage) {
  const sum = usage.prompt_tokens + usage.completion_tokens;
  return usage.total_tokens === sum ? [] : [`total_tokens is ${usage.total_tokens} instead of ${sum}`];
}

function textOf(chunks, kind) {
  let text = '';
  for (const chunk of chunks)
    for (const choice of chunk.choices || [])
      text += (kind === 'chat' ? choice.delta.content : choice.text) || '';
  return text;
}

/** Faults of a reply that was not streamed. */
export function wholeFaults(body, { kind }) {
  let reply;
  try {
    reply = JSON.parse(body);
  } catch {
    return ['not JSON'];
  }
  const faults = [];
  const choice = reply.choices?.[0];
  if (!choice) return ['no choices'];
  const text = kind === 'chat' ? choice.message?.content : choice.text;
  if (!text) faults.push('no text');
  if (!choice.finish_reason) faults.push('no finish_reason');
  if (reply.object !== (kind === 'chat' ? 'chat.completion' : 'text_completion'))
    faults.push(`object is ${reply.object}`);
  return faults.concat(reply.usage ? totalFaults(reply.usage) : ['no usage']);
}
