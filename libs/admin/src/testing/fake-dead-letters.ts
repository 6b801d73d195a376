import type {
  DeadLetterAdmin,
  LetterReplay,
  LettersAsked,
  ReplayCall,
  ReplayOutcome,
  ResendCall,
  ResentLetter,
} from '@cometmq/client';
import { queueId, queueOffset } from '@cometmq/model';

/** Dead letters of brokers that do what they are asked, but for the positions told of beforehand. */
export class FakeDeadLetters implements DeadLetterAdmin {
  readonly asked: (ReplayCall & { readonly brokerSet: string })[] = [];
  readonly resent: ResendCall[] = [];
  /** By log position. */
  readonly outcomes = new Map<number, ReplayOutcome>();
  readonly done = new Map<string, LetterReplay[]>();

  /** @param check throws for a set that does not answer */
  constructor(private readonly check: (brokerSet: string) => unknown) {}

  reset(): void {
    this.asked.length = 0;
    this.resent.length = 0;
    this.outcomes.clear();
    this.done.clear();
  }

  async replay(brokerSet: string, call: ReplayCall): Promise<readonly ReplayOutcome[]> {
    this.check(brokerSet);
    this.asked.push({ ...call, brokerSet });
    return call.places.map(({ position }) => this.outcomes.get(position) ?? 'replayed');
  }

  async resend(brokerSet: string, call: ResendCall): Promise<ResentLetter> {
    this.check(brokerSet);
    this.resent.push(call);
    return { messageId: 'NEW', queueId: queueId(0), offset: queueOffset(7) };
  }

  async replays(brokerSet: string, { first, last }: LettersAsked): Promise<readonly LetterReplay[]> {
    this.check(brokerSet);
    const done = (this.done.get(brokerSet) ?? []).map((replay) => ({
      ...replay,
      letters: replay.letters.filter((offset) => offset >= first && offset <= last),
    }));
    return done.filter(({ letters }) => letters.length > 0);
  }
}
