import { epoch, memberId, type SetState } from '@cometmq/model';

import { SetKnowledge } from './set-knowledge.js';

const [a, b] = [memberId('a/1'), memberId('b/1')];
const state = (ofEpoch: number, revision: number, leader = a): SetState => ({
  ...{ members: [a, b], quorum: 2, epoch: epoch(ofEpoch), revision, leader },
});

describe('what a member has heard of its set', () => {
  it('of one epoch is right with the higher revision, however late the other comes', () => {
    const knowledge = new SetKnowledge(undefined, epoch(0));
    expect(knowledge.saw(state(2, 11))).toBe(true);
    expect(knowledge.saw(state(2, 10))).toBe(false);
    expect(knowledge.saw(state(2, 11))).toBe(false);
    expect(knowledge.saw(state(2, 12))).toBe(true);
    expect(knowledge.state).toEqual(state(2, 12));
  });

  it('of a store that was filled again, whose revisions begin anew, is right by its epoch', () => {
    const knowledge = new SetKnowledge(state(2, 11), epoch(2));
    expect(knowledge.saw(state(3, 10, b))).toBe(true);
    expect(knowledge.saw(state(2, 11))).toBe(false); // A leader of before, which has not heard of it.
    expect(knowledge.state).toEqual(state(3, 10, b));
    expect(knowledge.heard).toBe(3);
  });

  it('of a store that was set back to a backup is not right', () => {
    const knowledge = new SetKnowledge(state(3, 20), epoch(3));
    expect(knowledge.saw(state(1, 5))).toBe(false);
    expect(knowledge.state).toEqual(state(3, 20));
  });
});
