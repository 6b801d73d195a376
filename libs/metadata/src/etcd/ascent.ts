import { MqError } from '@cometmq/shared';

/** What every answer of etcd says of the one that gave it. */
export interface EtcdHeader {
  readonly cluster_id: string;
  readonly revision: string;
  readonly raft_term: string;
}

/** How far etcd had come when something was asked. */
export interface Height {
  readonly cluster: string | undefined;
  readonly term: number;
  readonly revision: number;
}

/**
 * etcd never goes back: what it answers is at least as new as all that it, by any endpoint, had answered when it was asked.
 * An endpoint that says less is another cluster, was emptied, or was set back to a backup; its word does not count, and
 * another endpoint is asked. (An endpoint that is only cut off from the others answers nothing, as all reads ask the quorum.)
 */
export class Ascent {
  private reached: Height = { cluster: undefined, term: 0, revision: 0 };

  /** To be taken before the question is sent: answers to questions under way together may come in any order. */
  get height(): Height {
    return this.reached;
  }

  /** @throws MqError UNAVAILABLE: the answer does not count */
  answered(header: EtcdHeader, asked: Height): void {
    const cluster = header.cluster_id;
    const [term, revision] = [Number(header.raft_term), Number(header.revision)];
    if (asked.cluster !== undefined && asked.cluster !== cluster) {
      throw new MqError('UNAVAILABLE', `etcd cluster ${cluster} answers where cluster ${asked.cluster} did`);
    }
    if (term < asked.term || revision < asked.revision) {
      const [now, was] = [`term ${term}, revision ${revision}`, `term ${asked.term}, revision ${asked.revision}`];
      throw new MqError(
        'UNAVAILABLE',
        `etcd has gone back, to ${now} from ${was}: it was emptied, or set back to a backup`,
      );
    }
    const { reached } = this;
    this.reached = {
      cluster,
      term: Math.max(term, reached.term),
      revision: Math.max(revision, reached.revision),
    };
  }
}
