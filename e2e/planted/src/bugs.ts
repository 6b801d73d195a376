/**
 * The bugs that are planted, one at a time, and who has to notice. Each is a change of a few words in one source: the
 * product has no switches for them. One that does not fit its source any more fails loudly (`applyPlant`).
 */
export interface Plant {
  readonly file: string;
  /** Stands there once. */
  readonly from: string;
  readonly to: string;
}

export type Layer = 'specs' | 'stories' | 'model of a set' | 'crash states' | 'simulation';

/** Specs of these files that must fail; or seeds of the simulation, one of which must. */
export type Watch =
  | { readonly specs: readonly string[] }
  | { readonly seeds: number; readonly from?: number; readonly members: number; readonly ms: number };

export interface Bug {
  readonly name: string;
  readonly layer: Layer;
  readonly plants: readonly Plant[];
  readonly watch: Watch;
  /** It must be noticed in so many seconds. */
  readonly secondsMax: number;
  /** Planted in `npm test` too. */
  readonly quick?: boolean;
}

const writer = 'libs/store/src/log/log-writer.ts';
const leader = 'libs/replication/src/leader.ts';
const follower = 'libs/replication/src/follower.ts';
const storeLog = (name: string): string => `libs/store/src/log/${name}.spec.ts`;
const replication = (name: string): string => `libs/replication/src/${name}.spec.ts`;
const set: Watch = { seeds: 30, members: 3, ms: 30_000 };

export const bugs: readonly Bug[] = [
  // ---- the disk
  {
    name: 'a write is taken for durable before it is synced',
    layer: 'crash states',
    plants: [{ file: writer, from: 'file.writeDurably(pieces, at)', to: 'file.write(pieces, at)' }],
    watch: { specs: [storeLog('commit-log'), storeLog('recovery')] },
    secondsMax: 120,
  },
  {
    name: 'the same, seen from outside: a send is acknowledged before a quorum has synced it',
    layer: 'simulation',
    plants: [{ file: writer, from: 'file.writeDurably(pieces, at)', to: 'file.write(pieces, at)' }],
    watch: { ...set, seeds: 3 },
    secondsMax: 120,
    quick: true,
  },
  {
    name: 'a failed sync is ignored',
    layer: 'crash states',
    plants: [
      {
        file: writer,
        from: '      else this.fail(caught);\n      return false;\n    }\n  }\n\n  private async writeAndSync',
        to: '      return !(caught instanceof GaveWay);\n    }\n  }\n\n  private async writeAndSync',
      },
    ],
    watch: { specs: [storeLog('commit-log'), storeLog('recovery'), 'libs/store/src/message-store.spec.ts'] },
    secondsMax: 180,
  },
  {
    name: 'a failed sync is tried once more',
    layer: 'crash states',
    plants: [
      {
        file: writer,
        from: 'file.writeDurably(pieces, at)',
        to: 'file.writeDurably(pieces, at).catch(() => file.writeDurably(pieces, at))',
      },
    ],
    watch: { specs: [storeLog('commit-log'), storeLog('recovery'), 'libs/store/src/message-store.spec.ts'] },
    secondsMax: 180,
  },
  {
    name: 'the folder is not synced after a segment was begun',
    layer: 'crash states',
    plants: [
      {
        file: writer,
        from: '    await disk.syncFolder(folder);\n    old.fileBytes = bytes;',
        to: '    old.fileBytes = bytes;',
      },
    ],
    watch: { specs: [storeLog('commit-log'), storeLog('recovery')] },
    secondsMax: 180,
  },
  {
    name: 'the log is cut at the first bad record, whatever stands behind it',
    layer: 'crash states',
    plants: [
      {
        file: 'libs/store/src/log/recovery.ts',
        from: 'if (proof === undefined) return;',
        to: 'return;',
      },
    ],
    watch: { specs: [storeLog('commit-log'), storeLog('recovery')] },
    secondsMax: 180,
  },
  {
    name: 'checksums leave the header out',
    layer: 'specs',
    plants: [
      {
        file: 'libs/store/src/log/record.ts',
        from: 'checksum(this.bytes.subarray(at, at + size), salt), true);',
        to: 'checksum(this.bytes.subarray(at + 16, at + size), salt), true);',
      },
      {
        file: 'libs/store/src/log/record.ts',
        from: 'checksum(this.bytes.subarray(at, at + this.sizeAt(at)), salt);',
        to: 'checksum(this.bytes.subarray(at + 16, at + this.sizeAt(at)), salt);',
      },
    ],
    watch: { specs: [storeLog('record'), storeLog('commit-log')] },
    secondsMax: 120,
  },
  {
    name: 'a snapshot whose log is damaged is taken all the same',
    layer: 'crash states',
    plants: [
      {
        file: 'libs/store/src/snapshot/incoming-snapshot.ts',
        from: 'if (bad === undefined) continue;',
        to: 'continue;',
      },
    ],
    watch: { specs: ['libs/store/src/snapshot/snapshots.spec.ts'] },
    secondsMax: 180,
  },

  {
    name: 'a snapshot of which only a part is in place is opened, and its member may lead',
    layer: 'crash states',
    plants: [
      {
        file: 'libs/store/src/held-folder.ts',
        from: '    await putInPlace(disk, folder, this.opened);\n',
        to: '',
      },
    ],
    watch: { specs: ['libs/store/src/snapshot/snapshots.spec.ts'] },
    secondsMax: 180,
  },
  {
    name: 'records that nobody can prove to have stood there are taken for damaged ones',
    layer: 'crash states',
    plants: [
      {
        file: 'libs/store/src/log/damaged-part.ts',
        from: 'if (isAlike || records.epoch === epochAround(part, setEpoch)) return;',
        to: 'if (isAlike || records.epoch > 0) return;',
      },
    ],
    watch: { specs: [storeLog('damaged-part')] },
    secondsMax: 120,
  },
  {
    name: 'a message that came back counts as given up',
    layer: 'specs',
    plants: [
      {
        file: 'libs/store/src/damage-notes.ts',
        from: 'return position === this.lostPlace && this.mending === 0 && this.log.damages.length === 0;',
        to: 'return position < 0 && this.log.damages.length === 0;',
      },
    ],
    watch: { specs: ['libs/store/src/repairs.spec.ts'] },
    secondsMax: 120,
  },
  {
    name: 'what is known of queues stays when what was folded is thrown away',
    layer: 'simulation',
    plants: [
      {
        file: 'libs/store/src/folding.ts',
        from: 'for (const view of this.views) view.clear();',
        to: "for (const view of this.views) if (view.name !== 'directory') view.clear();",
      },
    ],
    watch: { ...set, seeds: 10 },
    secondsMax: 240,
  },

  // ---- who has what
  {
    name: 'one of two is enough for a commit',
    layer: 'model of a set',
    plants: [{ file: leader, from: '[quorum - 1] ?? 0', to: '[Math.max(0, quorum - 2)] ?? 0' }],
    watch: { specs: [replication('simulation'), replication('stories')] },
    secondsMax: 120,
    quick: true,
  },
  {
    name: 'the same, seen from outside',
    layer: 'simulation',
    plants: [{ file: leader, from: '[quorum - 1] ?? 0', to: '[Math.max(0, quorum - 2)] ?? 0' }],
    watch: { ...set, seeds: 3 },
    secondsMax: 120,
  },
  {
    name: 'a member acknowledges what it has only received',
    layer: 'model of a set',
    plants: [
      {
        file: follower,
        from: 'Math.min(this.durableEnd, this.end) as LogPosition;\n    if (this.session',
        to: 'this.end;\n    if (this.session',
      },
    ],
    watch: { specs: [replication('follower'), replication('simulation'), replication('stories')] },
    secondsMax: 120,
  },
  {
    name: 'a member appends, and acknowledges, what leaves a gap',
    layer: 'model of a set',
    plants: [{ file: follower, from: 'if (from !== this.end) {', to: 'if (from < this.end) {' }],
    watch: { specs: [replication('follower'), replication('simulation'), replication('stories')] },
    secondsMax: 120,
  },
  {
    name: 'an outline that was overtaken cuts off what was acknowledged since',
    layer: 'model of a set',
    plants: [
      {
        file: follower,
        from: 'commonEnd(this.outline(), { ...log, end: endless })',
        to: 'commonEnd(this.outline(), log)',
      },
    ],
    watch: { specs: [replication('follower'), replication('simulation'), replication('stories')] },
    secondsMax: 120,
  },
  {
    name: 'a member cuts its log below what is committed',
    layer: 'model of a set',
    plants: [{ file: follower, from: 'if (from < this.commitEnd) {', to: 'if (from < 0) {' }],
    watch: { specs: [replication('follower'), replication('simulation'), replication('stories')] },
    secondsMax: 120,
  },
  {
    name: 'a member is taken into the set before it has caught up',
    layer: 'model of a set',
    plants: [
      {
        file: leader,
        from: 'if (rule.members.every((member) => this.isInSync(member))) {',
        to: 'if (rule.members.length > 0) {',
      },
    ],
    watch: { specs: [replication('simulation'), replication('stories')] },
    secondsMax: 120,
  },
  {
    name: 'a member that was removed is counted',
    layer: 'model of a set',
    plants: [
      {
        file: leader,
        from: 'this.rule = { members: state.members, quorum: state.quorum };',
        to: 'this.rule = { members: [...new Set([...this.rule.members, ...state.members])].sort(), quorum: state.quorum };',
      },
    ],
    watch: { specs: [replication('simulation'), replication('stories')] },
    secondsMax: 120,
  },

  // ---- who leads
  {
    name: 'one epoch is promised to two candidates',
    layer: 'model of a set',
    plants: [
      {
        file: 'libs/replication/src/promises.ts',
        from: 'return epoch > promised.epoch ||',
        to: 'return epoch >= promised.epoch ||',
      },
    ],
    watch: { specs: [replication('promises'), replication('simulation'), replication('stories')] },
    secondsMax: 120,
    quick: true,
  },
  {
    name: 'a term that has ended goes on writing',
    layer: 'specs',
    plants: [
      {
        file: 'libs/broker/src/member/terms.ts',
        from: '    role.leading.end();\n    role.term?.end(error);\n',
        to: '    role.leading.end();\n',
      },
    ],
    watch: { specs: ['libs/broker/src/member/member.spec.ts', 'libs/broker/src/term/term-store.spec.ts'] },
    secondsMax: 300,
  },
  {
    name: 'silence and signs of life are taken for each other',
    layer: 'stories',
    plants: [
      {
        file: 'libs/replication/src/standing.ts',
        from: 'if (nowMs - this.progressMs < patienceMs) return undefined;',
        to: 'if (nowMs - this.progressMs >= patienceMs) return undefined;',
      },
    ],
    watch: { specs: [replication('stories')] },
    secondsMax: 120,
  },
  {
    name: 'nobody ever looks whether the leader is silent',
    layer: 'stories',
    plants: [
      {
        file: 'libs/replication/src/standing.ts',
        from: 'if (nowMs - this.progressMs < patienceMs) return undefined;',
        to: 'if (this.progressMs >= 0) return undefined;',
      },
    ],
    watch: { specs: [replication('stories')] },
    secondsMax: 120,
  },
  {
    name: 'a lease is renewed by a leader that makes no progress',
    layer: 'specs',
    plants: [
      {
        file: 'libs/namesrv/src/broker-sets.ts',
        from: 'if (!this.progresses(claim, kept)) return',
        to: 'if (!this.progresses(claim, kept) && kept.progress < 0) return',
      },
    ],
    watch: { specs: ['libs/namesrv/src/set-registry-door.spec.ts', 'libs/namesrv/src/broker-sets.spec.ts'] },
    secondsMax: 180,
  },
  {
    name: 'a set is taken over by what a restored metadata store says',
    layer: 'specs',
    plants: [
      {
        file: 'libs/client/src/set-registry.ts',
        from: 'if (generation < known.generation || state.revision < known.revision || state.epoch < known.epoch) {',
        to: 'if (generation < 0) {',
      },
    ],
    watch: { specs: ['libs/namesrv/src/leads-outlast.spec.ts'] },
    secondsMax: 180,
  },
  {
    name: 'an answer of the metadata store that got lost is taken for a failure',
    layer: 'specs',
    plants: [
      {
        file: 'libs/namesrv/src/broker-sets.ts',
        from: 'if (set?.record.epoch === epoch && set.record.leader === member) return { result: stateOf(set) };',
        to: '',
      },
    ],
    watch: { specs: ['libs/namesrv/src/set-registry-door.spec.ts', 'libs/namesrv/src/broker-sets.spec.ts'] },
    secondsMax: 180,
  },

  {
    name: 'a leader that can commit nothing goes on taking messages',
    layer: 'model of a set',
    plants: [
      {
        file: leader,
        from: 'return !isLong(this.waitsSinceMs) && !isLong(this.unheardSinceMs);',
        to: 'return !isLong(undefined);',
      },
    ],
    watch: {
      specs: [
        replication('stories'),
        'libs/broker/src/member/member-faults.spec.ts',
        'libs/broker/src/member/member.spec.ts',
      ],
    },
    secondsMax: 120,
  },

  // ---- what clients see
  {
    name: 'a message is taken after its deadline has passed',
    layer: 'specs',
    plants: [
      {
        file: 'libs/broker/src/sends.ts',
        from: 'call.deadlineMs !== undefined && this.clock.monotonicMs() > call.deadlineMs',
        to: 'call.deadlineMs !== undefined && this.clock.monotonicMs() < 0',
      },
    ],
    watch: { specs: ['libs/broker/src/sends.spec.ts'] },
    secondsMax: 120,
  },
  {
    name: 'the commit of a half message is lost',
    layer: 'simulation',
    plants: [
      {
        file: 'libs/broker/src/transactions.ts',
        from: "if (resolution === 'rollback') {\n      const dropped",
        to: "if (resolution === 'rollback' || audit === undefined) {\n      const dropped",
      },
    ],
    watch: { ...set, seeds: 2 },
    secondsMax: 240,
  },
  {
    name: 'a message is sent again under a new id',
    layer: 'specs',
    plants: [
      {
        file: 'libs/proxy/src/messaging/send-message.ts',
        from: '      this.route = route;\n      this.start();',
        to: '      this.route = route;\n      this.envelope[4] = (this.envelope[4] ?? 0) ^ 1;\n      this.start();',
      },
    ],
    watch: { specs: ['libs/proxy/src/messaging/send-message.spec.ts'] },
    secondsMax: 400,
  },
  {
    name: 'log time goes back with the wall clock, and what was handed out comes again',
    layer: 'specs',
    plants: [
      {
        file: 'libs/broker/src/log-clock.ts',
        from: 'this.valueMs = steady + Math.max(-passedMs / 2, Math.min(passedMs, offMs));',
        to: 'this.valueMs = steady + offMs;',
      },
    ],
    watch: { specs: ['libs/broker/src/log-clock.spec.ts', 'libs/broker/src/delays.spec.ts'] },
    secondsMax: 120,
    quick: true,
  },
  {
    name: 'a delayed message comes five seconds early',
    layer: 'simulation',
    plants: [
      {
        file: 'libs/broker/src/delays.ts',
        from: 'if (timers.firstDueMs > nowMs) return false;',
        to: 'if (timers.firstDueMs > nowMs + 5_000) return false;',
      },
    ],
    watch: { ...set, seeds: 5 },
    secondsMax: 240,
  },
  {
    name: 'a message is a dead letter one attempt too soon',
    layer: 'simulation',
    plants: [
      {
        file: 'libs/consumption/src/pop.ts',
        from: 'this.deadLetter(offset, index, attempt);\n      else this.place(offset, attempt + 1, index, undefined);',
        to: 'this.deadLetter(offset, index, attempt);\n      else if (attempt + 1 >= attemptsMax) this.deadLetter(offset, index, attempt);\n      else this.place(offset, attempt + 1, index, undefined);',
      },
    ],
    watch: { ...set, seeds: 10 },
    secondsMax: 240,
  },
  {
    name: 'an allow beats a deny',
    layer: 'specs',
    plants: [
      {
        file: 'libs/auth/src/decision.ts',
        from: "Number(b.decision === 'deny') - Number(a.decision === 'deny')",
        to: "Number(a.decision === 'deny') - Number(b.decision === 'deny')",
      },
    ],
    watch: { specs: ['libs/auth/src/decision.spec.ts'] },
    secondsMax: 60,
    quick: true,
  },
  {
    name: 'a long poll is not looked at again when permissions change',
    layer: 'specs',
    plants: [
      {
        file: 'libs/proxy/src/messaging/messaging-service.ts',
        from: '    context.polls.wake();\n    for (const stream of [...context.streams]) stream.recheck();',
        to: '    for (const stream of [...context.streams]) stream.recheck();',
      },
    ],
    watch: { specs: ['libs/proxy/src/messaging/access.spec.ts'] },
    secondsMax: 400,
  },
  {
    name: 'the poll of a client that is gone stays',
    layer: 'specs',
    plants: [
      {
        file: 'libs/proxy/src/messaging/receive-message.ts',
        from: '      if (this.over) return;\n      this.finish();\n      this.stream.abandon();\n    });\n    this.ask();',
        to: '      this.stream.abandon();\n    });\n    this.ask();',
      },
    ],
    watch: { specs: ['libs/proxy/src/messaging/receive-message.spec.ts'] },
    secondsMax: 400,
  },
  {
    name: 'a message that is sent again is stored again',
    layer: 'specs',
    plants: [
      {
        file: 'libs/broker/src/sends.ts',
        from: 'const candidates = call.groupHash === 0 ? none :',
        to: 'const candidates = call.groupHash >= 0 ? none :',
      },
    ],
    watch: {
      specs: [
        'libs/broker/src/fifo.spec.ts',
        'libs/broker/src/broker-service.spec.ts',
        'libs/broker/src/member/member.spec.ts',
      ],
    },
    secondsMax: 600,
  },
];
