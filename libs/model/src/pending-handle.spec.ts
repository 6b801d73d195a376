import { Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { PendingHandles } from './pending-handle.js';
import { ReceiptHandles } from './receipt.js';
import type { LogPosition, TopicId } from './units.js';

const secret = Buffer.from('a secret of the cluster');
const place = { topicId: 7 as TopicId, position: (2 ** 50 + 3) as LogPosition, size: 1234, dueMs: 1_700_000_000_123 };

describe('handles of pending messages', () => {
  it('come back as they were written', () => {
    const handles = new PendingHandles(secret);
    for (const broker of ['b', 'broker-0', 'ünïcode']) {
      expect(handles.read('recall', handles.write('recall', { broker, place }))).toEqual({ broker, place });
    }
  });

  it('of one kind are none of the other', () => {
    const handles = new PendingHandles(secret);
    const id = handles.write('transaction', { broker: 'b', place });
    expect(() => handles.read('recall', id)).toThrow('BAD_REQUEST');
    expect(() => handles.read('transaction', handles.write('recall', { broker: 'b', place }))).toThrow(
      'INVALID_TRANSACTION_ID',
    );
    expect(() => new ReceiptHandles(secret).read(id)).toThrow('INVALID_RECEIPT_HANDLE');
    expect(() => handles.read('recall', '')).toThrow('BAD_REQUEST');
    expect(() => new PendingHandles(Buffer.from('another')).read('transaction', id)).toThrow('INVALID_TRANSACTION_ID');
  });

  it.each(seeds(30))('can not be changed (seed %i)', (seed) => {
    const chance = new Prng(seed);
    const handles = new PendingHandles(secret);
    const bytes = Buffer.from(handles.write('recall', { broker: 'broker-0', place }), 'base64url');
    const at = chance.below(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << chance.below(8));
    expect(() => handles.read('recall', bytes.toString('base64url'))).toThrow('BAD_REQUEST');
  });
});
