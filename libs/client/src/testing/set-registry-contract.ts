import { memberId, type Epoch, type LogPosition, type MemberId, type SetRule, type SetState } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { MemberClaim, SetRegistry, WantedLead } from '../set-registry.js';

/** A registry that is ready and knows no set; or several instances of one. */
export interface OpenedRegistry {
  readonly registry: SetRegistry;
  /** Another equal instance, or the same. */
  readonly other: SetRegistry;
  /** Lets time pass for leases. */
  pass(ms: number): Promise<void>;
  close(): Promise<void>;
}

const [a, b, c] = ['a/1', 'b/1', 'c/1'].map(memberId) as [MemberId, MemberId, MemberId];
const brokerSet = 'broker-0';
const leaseMs = 2_000;

function claimOf(member: MemberId, more: Partial<MemberClaim> = {}): MemberClaim {
  return {
    brokerSet,
    member,
    address: `${member.slice(0, 1)}:1`,
    bootId: `boot-${member.slice(0, 1)}`,
    leaseMs,
    ...more,
  };
}

const withLog = (epoch: number, end = 100): Pick<MemberClaim, 'log'> => ({
  log: { epoch: epoch as Epoch, end: end as LogPosition },
});

const rule = (quorum: number, ...members: MemberId[]): SetRule => ({ members, quorum });

function lead(epoch: number, revision: number, given: SetRule, reason: WantedLead['reason'] = 'start'): WantedLead {
  return { epoch: epoch as Epoch, revision, rule: given, reason };
}

async function code(asked: Promise<unknown>): Promise<string> {
  return asked.then(
    () => 'no error',
    (caught: unknown) => MqError.from(caught).code,
  );
}

/** What every `SetRegistry` promises. One text, run against each of them. */
export function setRegistryContract(name: string, open: () => Promise<OpenedRegistry>): void {
  describe(`set registry contract: ${name}`, () => {
    let opened: OpenedRegistry;
    let registry: SetRegistry;
    beforeEach(async () => {
      opened = await open();
      registry = opened.registry;
    });
    afterEach(() => opened.close());

    const found = async (): Promise<SetState> => {
      const state = await registry.acquireLeadership(claimOf(a), lead(1, 0, rule(1, a)));
      return state ?? Promise.reject(new Error('it was not made'));
    };
    const keep = (claim: MemberClaim, epoch: number, progress: number) =>
      opened.registry.renewLeadership(claim, {
        epoch: epoch as Epoch,
        writable: true,
        progress,
        inSync: [claim.member],
      });
    const change = (state: SetState, next: SetRule, more: { left?: [MemberId, number][]; joined?: string[] } = {}) =>
      registry.changeMembers(claimOf(state.leader), {
        epoch: state.epoch,
        rule: next,
        revision: state.revision,
        left: (more.left ?? []).map(([member, end]) => ({ member, commitEnd: end as LogPosition })),
        joined: (more.joined ?? []).map((one) => ({ member: memberId(`${one}/1`), bootId: `boot-${one}` })),
      });
    /** A set of three that `a` leads in epoch 1. */
    const ofThree = async (): Promise<SetState> => {
      let state = await found();
      await registry.announceMember(claimOf(b));
      await registry.announceMember(claimOf(c));
      state = (await change(state, rule(2, a, b), { joined: ['b'] })) as SetState;
      return (await change(state, rule(2, a, b, c), { joined: ['c'] })) as SetState;
    };

    it('knows no set before somebody makes it', async () => {
      const reading = await registry.readSet(brokerSet);
      expect(reading).toMatchObject({ state: undefined, present: [], former: [], generation: 1 });
      expect(reading.storeId).toBeTruthy();
    });

    it('lets one make it, at revision 0, alone', async () => {
      expect(await code(registry.acquireLeadership(claimOf(a), lead(1, 0, rule(2, a, b))))).toBe('BAD_REQUEST');
      const state = await found();
      expect(state).toMatchObject({ epoch: 1, leader: a, members: [a], quorum: 1 });
      expect(state.revision).toBeGreaterThan(0);
      const present = [{ member: a, address: 'a:1', bootId: 'boot-a', leads: 1 }];
      expect(await opened.other.readSet(brokerSet)).toMatchObject({ state, present });
      expect(await registry.acquireLeadership(claimOf(b), lead(2, 0, rule(1, b)))).toBeUndefined();
    });

    it('answers who asks again with what it has written', async () => {
      const state = await found();
      expect(await opened.other.acquireLeadership(claimOf(a), lead(1, 0, rule(1, a)))).toEqual(state);
      await registry.announceMember(claimOf(b));
      const changed = await change(state, rule(2, a, b), { joined: ['b'] });
      expect(changed).toMatchObject({ members: [a, b], quorum: 2, epoch: 1, leader: a });
      expect(await change(state, rule(2, a, b), { joined: ['b'] })).toEqual(changed);
      expect((await registry.readSet(brokerSet)).state).toEqual(changed);
    });

    it('writes nothing on an older revision than the set has', async () => {
      const state = await ofThree();
      const stale = { ...state, revision: state.revision - 1 };
      expect(await change(stale, rule(1, a))).toBeUndefined();
      const late = lead(2, stale.revision, rule(2, a, b, c), 'closed');
      expect(await registry.acquireLeadership(claimOf(b), late)).toBeUndefined();
      expect((await registry.readSet(brokerSet)).state).toEqual(state);
    });

    it.each(['start', 'silent'] as const)(
      'lets nobody of two stand (%s) while the leader is present',
      async (reason) => {
        const first = await found();
        await registry.announceMember(claimOf(b));
        const state = (await change(first, rule(2, a, b), { joined: ['b'] })) as SetState;
        const wanted = lead(2, state.revision, rule(1, b), reason);
        expect(await code(registry.acquireLeadership(claimOf(b), wanted))).toBe('CONFLICT');
        await opened.pass(leaseMs + 1_500);
        expect(await registry.acquireLeadership(claimOf(b), wanted)).toMatchObject({ leader: b, epoch: 2 });
        expect(await code(keep(claimOf(a), 1, 5))).toBe('NOT_LEADER');
      },
    );

    // Of three, two have promised by then: the one that is present can commit nothing any more.
    it.each(['closed', 'handedOver', 'start', 'silent'] as const)(
      'lets one of three stand at once (%s)',
      async (reason) => {
        const state = await ofThree();
        const wanted = lead(2, state.revision, rule(2, a, b, c), reason);
        const next = await registry.acquireLeadership(claimOf(b, withLog(1)), wanted);
        expect(next).toMatchObject({ leader: b, epoch: 2, members: [a, b, c], quorum: 2 });
        expect(await code(keep(claimOf(a, withLog(1)), 1, 5))).toBe('NOT_LEADER');
        const { present } = await registry.readSet(brokerSet);
        expect(present.filter(({ leads }) => leads !== undefined)).toMatchObject([{ member: b, leads: 2 }]);
      },
    );

    it('lets the last leader stand again at once where it has started anew', async () => {
      const state = await ofThree();
      const again = claimOf(a, { bootId: 'boot-2', ...withLog(1) });
      const wanted = lead(2, state.revision, rule(2, a, b, c));
      expect(await registry.acquireLeadership(again, wanted)).toMatchObject({ leader: a, epoch: 2 });
    });

    it('refuses who is no member, an epoch that does not rise, and other members than there are', async () => {
      const state = await found();
      const taken = (claim: MemberClaim, wanted: WantedLead) => code(registry.acquireLeadership(claim, wanted));
      expect(await taken(claimOf(b), lead(2, state.revision, rule(1, b), 'closed'))).toBe('DATA_FOLDER');
      expect(await taken(claimOf(a, { bootId: 'x' }), lead(0, state.revision, rule(1, a)))).toBe('BAD_REQUEST');
      expect(await taken(claimOf(a), lead(2, state.revision, rule(1, a, b)))).toBe('BAD_REQUEST');
      expect(await taken(claimOf(a), lead(2, state.revision, rule(3, a)))).toBe('BAD_REQUEST');
      expect((await registry.readSet(brokerSet)).state).toEqual(state);
    });

    it('lets one of two go on alone, and keeps with how much the other left', async () => {
      const one = await found();
      await registry.announceMember(claimOf(b));
      const two = (await change(one, rule(2, a, b), { joined: ['b'] })) as SetState;
      const wanted = { ...lead(2, two.revision, rule(1, b), 'closed'), commitEnd: 700 as LogPosition };
      expect(await registry.acquireLeadership(claimOf(b), wanted)).toMatchObject({
        members: [b],
        quorum: 1,
        leader: b,
      });
      expect((await registry.readSet(brokerSet)).former).toEqual([{ member: a, commitEnd: 700 }]);
    });

    it('keeps with how much a member left, until it is back', async () => {
      const state = await ofThree();
      const fewer = (await change(state, rule(2, a, b), { left: [[c, 900]] })) as SetState;
      expect((await registry.readSet(brokerSet)).former).toEqual([{ member: c, commitEnd: 900 }]);
      await change(fewer, rule(2, a, b, c), { joined: ['c'] });
      expect((await registry.readSet(brokerSet)).former).toEqual([]);
    });

    it('takes nobody in who was started again since', async () => {
      const state = await found();
      expect(await code(change(state, rule(2, a, b), { joined: ['b'] }))).toBe('CONFLICT');
      await registry.announceMember(claimOf(b, { bootId: 'boot-2' }));
      expect(await code(change(state, rule(2, a, b), { joined: ['b'] }))).toBe('CONFLICT');
      expect((await registry.readSet(brokerSet)).state).toEqual(state);
    });

    it('changes nothing for who does not lead', async () => {
      const state = await ofThree();
      const wanted = { epoch: 1 as Epoch, rule: rule(1, b), revision: state.revision, left: [] };
      expect(await code(registry.changeMembers(claimOf(b), wanted))).toBe('NOT_LEADER');
      expect(await code(keep(claimOf(b), 1, 1))).toBe('NOT_LEADER');
      expect(await code(keep(claimOf(a), 2, 1))).toBe('NOT_LEADER');
    });

    it('keeps a leader present while it makes progress, and no longer', async () => {
      await found();
      const leaders = async () => (await registry.readSet(brokerSet)).present.filter(({ leads }) => leads).length;
      for (let progress = 1; progress <= 3; progress += 1) {
        await opened.pass(leaseMs / 2);
        const reading = await keep(claimOf(a), 1, progress);
        expect(reading.present).toMatchObject([{ member: a, leads: 1 }]);
      }
      for (let stuck = 0; stuck < 6; stuck += 1) {
        await opened.pass(leaseMs / 2);
        await keep(claimOf(a), 1, 3);
      }
      expect(await leaders()).toBe(0);
      // It may wait for nothing but members that look for it.
      expect((await registry.readSet(brokerSet)).present).toMatchObject([{ member: a, address: claimOf(a).address }]);
      await keep(claimOf(a), 1, 4);
      expect(await leaders()).toBe(1);
    });

    it('ends the lead of who resigns, for good, whatever comes late', async () => {
      const state = await ofThree();
      await registry.resignLeadership(claimOf(a), 1 as Epoch);
      await registry.resignLeadership(claimOf(a), 1 as Epoch);
      expect((await registry.readSet(brokerSet)).present.some(({ leads }) => leads !== undefined)).toBe(false);
      expect(await code(keep(claimOf(a), 1, 9))).toBe('NOT_LEADER');
      await registry.announceMember(claimOf(a));
      expect(await code(keep(claimOf(a), 1, 10))).toBe('NOT_LEADER');
      const wanted = lead(2, state.revision, rule(2, a, b, c), 'silent');
      expect(await registry.acquireLeadership(claimOf(b), wanted)).toMatchObject({ leader: b });
      await registry.resignLeadership(claimOf(a), 1 as Epoch); // Another leads by now.
      expect((await registry.readSet(brokerSet)).present.find(({ leads }) => leads)).toMatchObject({ member: b });
    });

    it('shows members that are there, at their addresses, for a lease', async () => {
      await registry.announceMember(claimOf(b));
      const { present } = await opened.other.announceMember(claimOf(c));
      expect(present.map(({ member, address }) => [member, address])).toEqual([
        [b, 'b:1'],
        [c, 'c:1'],
      ]);
      await registry.withdrawMember(claimOf(c));
      await registry.withdrawMember(claimOf(c));
      expect((await registry.readSet(brokerSet)).present).toHaveLength(1);
      await opened.pass(leaseMs + 1_500);
      expect((await registry.readSet(brokerSet)).present).toEqual([]);
    });

    it('is not told that the leader leads no longer by an announcement that comes late', async () => {
      await found();
      await registry.announceMember(claimOf(a));
      expect((await registry.readSet(brokerSet)).present).toMatchObject([{ member: a, leads: 1 }]);
    });

    it('tells two processes with one member id apart: the first one stays', async () => {
      const state = await found();
      const twin = claimOf(a, { bootId: 'twin', address: 'elsewhere:1' });
      expect(await code(registry.announceMember(twin))).toBe('CONFLICT');
      expect(await code(registry.acquireLeadership(twin, lead(2, state.revision, rule(1, a), 'closed')))).toBe(
        'CONFLICT',
      );
      expect(await code(keep(twin, 1, 1))).toBe('NOT_LEADER');
      await registry.withdrawMember(twin);
      await registry.resignLeadership(twin, 1 as Epoch);
      expect((await keep(claimOf(a), 1, 1)).present).toMatchObject([{ bootId: 'boot-a', leads: 1 }]);
      await opened.pass(leaseMs + 1_500);
      expect((await registry.announceMember(twin)).present).toMatchObject([{ bootId: 'twin' }]);
    });

    it('gives a place to one member at a time, and says who holds it', async () => {
      await found();
      await registry.announceMember(claimOf(b));
      const twin = claimOf(memberId('b/2'), { address: 'b:2', bootId: 'boot-2' });
      const refused = registry.announceMember(twin);
      await expect(refused).rejects.toMatchObject({ code: 'CONFLICT', reason: expect.stringMatching(/b\/1 at b:1/) });
      // The volume behind the same address is another one now; or the one before has gone.
      await registry.announceMember({ ...twin, address: 'b:1' });
      await registry.withdrawMember({ ...twin, address: 'b:1' });
      await registry.withdrawMember(claimOf(b));
      await registry.announceMember(twin);
      // Who belongs to the set stays, whoever else has come.
      expect(
        await code(registry.announceMember(claimOf(memberId('a/2'), { address: 'a:2', bootId: 'boot-2' }))),
      ).not.toBe('no error');
      await registry.announceMember(claimOf(a));
    });

    it('takes a restart at the same address at once, and never goes back to the process before', async () => {
      await registry.announceMember(claimOf(b));
      const again = claimOf(b, { bootId: 'boot-2' });
      expect((await registry.announceMember(again)).present).toMatchObject([{ bootId: 'boot-2' }]);
      expect(await code(registry.announceMember(claimOf(b)))).toBe('CONFLICT');
      await registry.withdrawMember(claimOf(b));
      expect((await registry.readSet(brokerSet)).present).toMatchObject([{ bootId: 'boot-2' }]);
    });

    it.each(['renewal', 'resignation'])(
      'lets nobody lead on an older copy of its folder (told by a %s)',
      async (by) => {
        const state = await found();
        if (by === 'renewal') await keep(claimOf(a, withLog(1)), 1, 1);
        else await registry.resignLeadership(claimOf(a, withLog(1)), 1 as Epoch);
        const wanted = lead(2, state.revision, rule(1, a));
        expect((await registry.readSet(brokerSet)).state).toEqual(state); // What was noted is no change of the set.
        expect(await code(registry.acquireLeadership(claimOf(a, { bootId: 'x' }), wanted))).toBe('DATA_FOLDER');
        const whole = claimOf(a, { bootId: 'x', ...withLog(1) });
        expect(await registry.acquireLeadership(whole, wanted)).toMatchObject({ epoch: 2 });
      },
    );

    it('tells who comes back on another folder, or on an older copy, as soon as it announces itself', async () => {
      await found();
      await keep(claimOf(a, withLog(1)), 1, 1);
      const there = claimOf(memberId('a/2'), { bootId: 'x' });
      expect(await code(registry.announceMember(there))).toBe('DATA_FOLDER'); // At its address: it is gone.
      const other = { ...there, address: 'elsewhere:1' };
      expect(await code(registry.announceMember(other))).toBe('CONFLICT'); // Both are there.
      await opened.pass(leaseMs + 1_500);
      expect(await code(registry.announceMember(other))).toBe('DATA_FOLDER');
      expect(await code(registry.announceMember(claimOf(a)))).toBe('DATA_FOLDER');
      expect(await code(registry.announceMember(claimOf(a, withLog(1))))).toBe('no error');
      expect(await code(registry.announceMember(claimOf(b)))).toBe('no error');
    });

    it('refuses a log that it does not know, and one that is ahead of it', async () => {
      expect(await code(registry.announceMember(claimOf(a, withLog(3))))).toBe('METADATA_MISMATCH');
      const state = await found();
      const metadata = { clusterId: 'another', generation: 1, revision: 1 };
      const foreign = claimOf(a, { log: { epoch: 1 as Epoch, end: 9 as LogPosition, metadata } });
      const wanted = lead(9, state.revision, rule(1, a));
      expect(await code(registry.acquireLeadership(foreign, wanted))).toBe('METADATA_MISMATCH');
      expect(await code(registry.acquireLeadership(claimOf(a, withLog(2)), wanted))).toBe('METADATA_MISMATCH');
      expect(await code(keep(claimOf(a, withLog(2)), 1, 1))).toBe('METADATA_MISMATCH');
      expect((await registry.readSet(brokerSet)).state).toEqual(state);
    });

    it('gives a lead that many want at once to one', async () => {
      await ofThree();
      await opened.pass(leaseMs + 1_500);
      const { state } = await registry.readSet(brokerSet);
      const wanted = { revision: state?.revision ?? 0, rule: rule(2, a, b, c), reason: 'silent' } as const;
      const asked = [b, c].map((member, at) => {
        const { registry: one, other } = opened;
        return (at === 0 ? one : other).acquireLeadership(claimOf(member), { ...wanted, epoch: (2 + at) as Epoch });
      });
      const taken = (await Promise.all(asked)).filter((given) => given !== undefined);
      expect(taken).toHaveLength(1);
      expect((await registry.readSet(brokerSet)).state).toEqual(taken[0]);
    });
  });
}
