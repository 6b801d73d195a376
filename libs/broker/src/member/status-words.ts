import type { MemberStatus } from '@cometmq/client';
import type { MemberId } from '@cometmq/model';
import type { Protection } from '@cometmq/replication';

export interface Situation {
  readonly role: MemberStatus['role'];
  readonly failed: string | undefined;
  /** What of a snapshot is being copied. */
  readonly copying: string | undefined;
  /** Why nobody may stand. */
  readonly still: string | undefined;
  readonly protection: Protection | undefined;
  /** It leads, and decides. */
  readonly begun: boolean;
  readonly attached: boolean;
  readonly isMember: boolean;
  readonly noLeaderMs: number;
  readonly leader: string | undefined;
  readonly members: readonly MemberId[];
  /** Members that are not in sync, or not there. */
  readonly missing: readonly MemberId[];
}

/** How it stands with a member and its set, in words. */
export function statusWords(now: Situation): string {
  if (now.failed !== undefined) return `failed: ${now.failed}`;
  switch (now.role) {
    case 'opening':
      return 'opening its data folder';
    case 'standing':
      return `no leader since ${seconds(now.noLeaderMs)}: stands for the lead, waiting for promises of ${now.members.join(', ')}`;
    case 'following':
      return now.copying ?? following(now);
    case 'leading':
      return leading(now);
    case 'failed':
      return 'failed';
  }
}

function following({ attached, isMember, leader, noLeaderMs, still }: Situation): string {
  if (attached) return isMember ? `follows ${leader ?? ''}` : `copies the log of ${leader ?? ''}, to become a member`;
  if (still !== undefined) return `nobody stands for the lead: ${still}`;
  return `no leader since ${seconds(noLeaderMs)}: waiting for ${leader ?? 'somebody to lead'}`;
}

function leading({ begun, protection, missing, still }: Situation): string {
  const alarm = still === undefined ? '' : `; ${still}`;
  if (!begun) return `waiting for ${missing.join(', ') || 'its disk'} to have the start of its term`;
  switch (protection) {
    case 'not serving':
      return `not serving: nothing can be committed, waiting for ${missing.join(', ') || 'its disk'}${alarm}`;
    case 'single copy':
      return `single copy${missing.length > 0 ? `: waiting for ${missing.join(', ')}` : ''}${alarm}`;
    case 'protected':
      return `protected${missing.length > 0 ? `, without ${missing.join(', ')}` : ''}${alarm}`;
    case 'alone':
    case undefined:
      return `alone, as it is meant to be${alarm}`;
  }
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1_000)} s`;
}
