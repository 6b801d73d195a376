import { ApiError } from './client.js';
import type { Problem } from './schema.js';

export interface ServerEvent {
  readonly event: string;
  readonly data: unknown;
}

/** Server-sent events of one address, until they end or `signal` says so. Not EventSource: that hides why it was refused. */
export async function* serverEvents(path: string, signal: AbortSignal): AsyncIterable<ServerEvent> {
  const response = await fetch(path, { signal, headers: { accept: 'text/event-stream' } });
  if (!response.ok || !response.body) {
    throw ApiError.ofProblem((await response.json().catch(() => ({}))) as Partial<Problem>, response.status);
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const [, event, data] = /^event: (\w+)\ndata: (.*)$/s.exec(block) ?? [];
        if (event !== undefined && data !== undefined) yield { event, data: JSON.parse(data) as unknown };
      }
    }
  } finally {
    reader.cancel().catch(() => undefined); // Who reads no more lets the server know.
  }
}
