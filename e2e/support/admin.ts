import type { Standalone } from './standalone.js';

/** A call of the administrators' API; the answer's JSON. */
export async function admin<T>(broker: Standalone, method: string, path: string, body?: unknown): Promise<T> {
  const answer = await fetch(`http://127.0.0.1:${broker.adminPort}/api/v1${path}`, {
    method,
    ...(body !== undefined && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return (text === '' ? undefined : JSON.parse(text)) as T;
}

export function createTopic(broker: Standalone, topic: { name: string; type: string; writeQueues?: number }) {
  return admin(broker, 'POST', '/topics', topic);
}
