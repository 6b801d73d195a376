/**
 * A long order of events written as a story: lines that begin with `>` are what happens, indented lines are what the
 * steps answer. A runner plays the former and compares the latter, so a good story comes back unchanged.
 */
import { type Epoch, type LogPosition, memberId, type SetRule, type SetState } from '@cometmq/model';

import { Candidate, type CandidateOutput } from '../candidate.js';
import { Leader, leaderLimits, type LeaderOutput } from '../leader.js';
import { ruleOf } from '../members.js';
import { Standing, standingLimits } from '../standing.js';

type Teller = (words: readonly string[]) => readonly string[];

const position = (word: string | undefined): LogPosition => Number(word) as LogPosition;
const epoch = (word: string | undefined): Epoch => Number(word) as Epoch;

/** @returns the story with the answers that really came. */
export function play(story: string): string {
  let teller: Teller | undefined;
  const told: string[] = [];
  for (const line of story.split('\n')) {
    if (line.startsWith('  ')) continue;
    told.push(line);
    if (!line.startsWith('> ')) continue;
    const words = line.slice(2).split(/\s+/);
    if (words[0] === 'given') teller = tellerOf(words.slice(1));
    else for (const answer of teller?.(words) ?? ['nobody is there to hear it']) told.push(`  ${answer}`);
  }
  return told.join('\n');
}

/** `leader a of a,b,c epoch 2 starting at 10 wanted 3`, `candidate b of … leader a epoch 1 log 1 10`, `standing rank 0`. */
function tellerOf(words: readonly string[]): Teller {
  const after = (word: string): string | undefined => words[words.indexOf(word) + 1];
  const rule = ruleOf((after('of') ?? '').split(',').map(memberId));
  const state: SetState = {
    ...rule,
    revision: 7,
    epoch: epoch(after('epoch')),
    leader: memberId(after('leader') ?? ''),
  };
  switch (words[0]) {
    case 'leader': {
      const limits = { ...leaderLimits, membersWanted: Number(after('wanted')) };
      const durability = words.includes('strict') ? 'strict' : 'available';
      const term = { me: memberId(words[1] ?? ''), state, startEnd: position(after('at')), nowMs: 0 };
      return leaderTeller(new Leader(term, { ...limits, durability }));
    }
    case 'candidate': {
      const log = { lastEpoch: epoch(after('log')), end: position(words[words.indexOf('log') + 2]) };
      const promised = { epoch: state.epoch, to: state.leader };
      const me = memberId(words[1] ?? '');
      return candidateTeller(new Candidate({ me, set: state, log, promised, heard: epoch('0'), reason: 'closed' }));
    }
    default:
      return standingTeller(new Standing(standingLimits, Number(after('rank')), words.includes('atOnce'), 0));
  }
}

function leaderTeller(leader: Leader): Teller {
  return ([kind, ...rest]) => {
    const nowMs = Number(rest[rest.indexOf('at') + 1]);
    const member = memberId(rest[0] ?? '');
    switch (kind) {
      case 'appended':
      case 'durable':
        return leader.step({ kind, end: position(rest[0]), nowMs }).map(leaderAnswer);
      case 'joined':
        return leader.step({ kind, member, session: Number(rest[1]), from: joinedFrom(rest), nowMs }).map(leaderAnswer);
      case 'acked':
        return leader.step({ kind, member, session: Number(rest[1]), end: position(rest[2]), nowMs }).map(leaderAnswer);
      case 'left':
        return leader.step({ kind, member, refuses: rest[1] === 'refusing', nowMs }).map(leaderAnswer);
      case 'remove':
        return leader.step({ kind, member, nowMs }).map(leaderAnswer);
      case 'changed': {
        const rule = ruleOf((rest[0] ?? '').split(',').map(memberId));
        const state = { ...rule, revision: Number(rest[1]), epoch: epoch(rest[2]), leader: memberId('a') };
        return leader.step({ kind, state }).map(leaderAnswer);
      }
      case 'outdated':
        return leader.step({ kind, epoch: epoch(rest[0]) }).map(leaderAnswer);
      case 'unchanged':
        return leader.step({ kind, nowMs }).map(leaderAnswer);
      case 'tick':
        return leader.step({ kind, nowMs }).map(leaderAnswer);
      case 'look':
        return [leader.protection(nowMs)];
      default:
        return [`a leader does not know "${kind}"`];
    }
  };
}

/** Where nothing is said, it has all that it ever acknowledged. */
function joinedFrom(words: readonly string[]): LogPosition {
  const at = words.indexOf('from');
  return at < 0 ? (Number.MAX_SAFE_INTEGER as LogPosition) : position(words[at + 1]);
}

function leaderAnswer(output: LeaderOutput): string {
  switch (output.kind) {
    case 'commit':
      return `commit ${output.end}`;
    case 'change':
      return `ask etcd for ${ruleText(output.rule)} where the revision is ${output.revision}`;
    case 'renewTerm':
      return `stand again above epoch ${output.above}`;
    case 'resign':
      return `resign: ${output.why}`;
    case 'lacks':
      return `${output.member} lacks what it acknowledged from ${output.from} to ${output.acknowledged}`;
  }
}

function candidateTeller(candidate: Candidate): Teller {
  return ([kind, ...rest]) => {
    const from = memberId(rest[0] ?? '');
    switch (kind) {
      case 'start':
        return candidate.start().map(candidateAnswer);
      case 'willing':
        return candidate.step({ kind, from }).map(candidateAnswer);
      case 'promised':
        return candidate
          .step({ kind, from, log: { lastEpoch: epoch(rest[1]), end: position(rest[2]) } })
          .map(candidateAnswer);
      case 'refused': {
        const why = rest[1] === 'promised' ? 'promised' : 'leaderProgresses';
        return candidate.step({ kind, from, refusal: { why, epoch: epoch(rest[2]) } }).map(candidateAnswer);
      }
      case 'fetched':
        return candidate.step({ kind, end: position(rest[0]) }).map(candidateAnswer);
      case 'fetchFailed':
      case 'behind':
        return candidate.step({ kind, from, why: rest.slice(1).join(' ') }).map(candidateAnswer);
      case 'taken': {
        const state = { ...ruleOf([from]), revision: 8, epoch: candidate.epoch, leader: from };
        return candidate.step({ kind, state }).map(candidateAnswer);
      }
      case 'lost':
        return candidate.step({ kind }).map(candidateAnswer);
      case 'seen':
        return candidate.step({ kind, revision: Number(rest[0]) }).map(candidateAnswer);
      default:
        return [`a candidate does not know "${kind}"`];
    }
  };
}

function candidateAnswer(output: CandidateOutput): string {
  switch (output.kind) {
    case 'promise':
      return `promise epoch ${output.promise.epoch} to ${output.promise.to}, durably`;
    case 'ask':
      return `ask ${output.to} ${output.sounding ? 'whether it would promise' : 'for'} epoch ${output.epoch}`;
    case 'fetch':
      return `fetch the log of ${output.from}`;
    case 'take':
      return `take epoch ${output.epoch} of ${ruleText(output.rule)} where the revision is ${output.revision}`;
    case 'lead':
      return `lead epoch ${output.epoch}`;
    case 'giveUp':
      return `give up${output.isBehind ? ', and let others try' : ''}: ${output.why}`;
  }
}

function standingTeller(standing: Standing): Teller {
  return ([kind, ...rest]) => {
    const nowMs = Number(rest[rest.indexOf('at') + 1]);
    const reason = ((): ReturnType<Standing['step']> => {
      switch (kind) {
        case 'heard':
          return standing.step({ kind, progress: Number(rest[0]), nowMs });
        case 'refused':
        case 'handedOver':
        case 'failed':
        case 'behind':
        case 'promised':
        case 'settled':
        case 'tick':
          return standing.step({ kind, nowMs });
        default:
          throw new Error(`standing does not know "${kind}"`);
      }
    })();
    return reason === undefined ? [] : [`stand: ${reason}`];
  };
}

function ruleText({ members, quorum }: SetRule): string {
  return `{${members.join(' ')}}/${quorum}`;
}
