/** Every state that the rules can reach within bounds, each visited once, nearest first. */
import { initial, settled, steps, type Bounds, type State, type Trap } from './rules.ts';

export interface Explored {
  readonly states: number;
  /** The shortest way to a violation, a line a step; undefined: there is none within the bounds. */
  readonly story: readonly string[] | undefined;
}

interface Visit {
  readonly state: State;
  readonly does: string;
  readonly from: Visit | undefined;
}

/** @throws Error when there are more than `statesMax` states: an exploration that was cut short proves nothing. */
export function explore(bounds: Bounds, trap?: Trap, statesMax = 5_000_000): Explored {
  const seen = new Set<string>();
  let front: Visit[] = [{ state: initial(bounds), does: 'in the beginning A leads', from: undefined }];
  while (front.length > 0) {
    const next: Visit[] = [];
    for (const visit of front) {
      for (const { does, to: after } of steps(visit.state, trap)) {
        const to = settled(after);
        const key = keyOf(to);
        if (seen.has(key)) continue;
        seen.add(key);
        if (seen.size > statesMax) throw new Error(`more than ${statesMax} states`);
        const there = { state: to, does, from: visit };
        if (to.broken !== undefined) return { states: seen.size, story: [...storyOf(there), to.broken] };
        next.push(there);
      }
    }
    front = next;
  }
  return { states: seen.size, story: undefined };
}

function storyOf(end: Visit): string[] {
  const story: string[] = [];
  for (let visit: Visit | undefined = end; visit; visit = visit.from) story.push(visit.does);
  return story.reverse();
}

function keyOf({ etcd, members, underWay, committed, committedIn, left }: State): string {
  let key = `${etcd.revision}.${etcd.epoch}.${etcd.leader}.${etcd.members}.${etcd.quorum}|`;
  for (const { log, promised, acked, seen, role } of members) {
    key += `${String.fromCharCode(...log)}.${promised.epoch}${promised.to}.${acked.epoch}${acked.end}.${seen}${role.is}`;
    if (role.is === 'candidate') key += `${role.epoch}.${role.read.revision}.${role.promised}.${role.fetched}`;
    else if (role.is !== 'follower') {
      key += `${role.epoch}.${role.rule.members}.${role.rule.quorum}.${role.revision}`;
      if (role.is === 'leader')
        key += `${role.commit}.${role.ends.join()}.${role.changing?.members}.${role.changing?.quorum}`;
    }
    key += '|';
  }
  for (const { members: bits, revision, epoch } of underWay) key += `${bits}.${revision}.${epoch};`;
  return `${key}|${committed.join()}.${committedIn.join()}|${left.stands}${left.appends}${left.changes}${left.crashes}${left.restores}${left.lateRestores}`;
}
