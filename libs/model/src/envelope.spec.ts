import fc from 'fast-check';

import { encodeEnvelope, Envelope, isTransferred, markedEnvelope, sentEnvelope } from './envelope.js';
import type { EnvelopeDraft } from './envelope.js';
import { MessageType } from './message-type.js';
import { everybody } from './records/transfer.js';
import type { GroupId, LogPosition } from './units.js';

// Goal: what an envelope was given comes out of it, whatever stands beside it. Method: any drafts, any message behind.
const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined });
const drafts: fc.Arbitrary<EnvelopeDraft> = fc.record({
  type: fc.constantFrom(...Object.values(MessageType)),
  tag: fc.uint8Array({ maxLength: 40 }),
  id: fc.string({ unit: 'grapheme', maxLength: 40 }).map((id) => Buffer.from(id)),
  group: fc.string({ unit: 'grapheme', maxLength: 40 }).map((group) => Buffer.from(group)),
  keys: fc.array(fc.uint8Array({ maxLength: 10 }), { maxLength: 4 }),
  dueMs: optional(fc.nat({ max: Number.MAX_SAFE_INTEGER })),
  checkAfterMs: optional(fc.nat({ max: 2 ** 32 - 1 })),
  priority: optional(fc.integer()),
  liteTopic: optional(fc.string({ unit: 'grapheme', maxLength: 20 }).map((name) => Buffer.from(name))),
});

describe('an envelope', () => {
  it('gives back what it was made of', () => {
    fc.assert(
      fc.property(drafts, fc.uint8Array({ maxLength: 50 }), (draft, message) => {
        const found = new Envelope(Buffer.concat([encodeEnvelope(draft), message]));
        expect(found.type).toBe(draft.type);
        expect(Buffer.compare(found.tag, draft.tag)).toBe(0);
        expect(found.id).toBe(Buffer.from(draft.id).toString());
        expect(found.group).toBe(Buffer.from(draft.group).toString());
        expect(found.keyCount).toBe(draft.keys.length);
        expect(found.dueMs).toBe(draft.dueMs);
        expect(found.checkAfterMs).toBe(draft.checkAfterMs);
        expect(found.priority).toBe(draft.priority);
        expect(found.liteTopic).toBe(draft.liteTopic && Buffer.from(draft.liteTopic).toString());
        expect(Buffer.compare(found.message, message)).toBe(0);
      }),
    );
  });

  it('carries the mark of a transfer beside all that, the last one alone, and is without it what it was', () => {
    fc.assert(
      fc.property(drafts, fc.uint8Array({ maxLength: 50 }), (draft, message) => {
        const envelope = encodeEnvelope(draft);
        const stored = Buffer.concat([envelope, message]);
        expect([isTransferred(stored), new Envelope(stored).transferMark]).toEqual([false, undefined]);
        const first = { from: 'broker-1', log: 7, transfer: (2 ** 40) as LogPosition, index: 511, audience: everybody };
        const groups = [{ groupId: 3 as GroupId, attempts: 2 }];
        const second = { ...first, from: 'broker-ü', index: 0, audience: { only: true, groups } };
        const once = Buffer.concat([markedEnvelope(stored, first), message]);
        const twice = Buffer.concat([markedEnvelope(once, second), message]);
        expect(new Envelope(once).transferMark).toEqual(first);
        expect([isTransferred(twice), new Envelope(twice).transferMark]).toEqual([true, second]);
        for (const marked of [once, twice]) {
          const found = new Envelope(marked);
          expect(Buffer.compare(found.message, message)).toBe(0);
          expect(Buffer.compare(sentEnvelope(marked), envelope)).toBe(0);
          expect(found.dueMs).toBe(draft.dueMs);
          expect(found.liteTopic).toBe(draft.liteTopic && Buffer.from(draft.liteTopic).toString());
        }
      }),
    );
  });
});
