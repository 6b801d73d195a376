import type { PolicyView, UserView } from '@cometmq/admin';

/** Where something stands, for whoever has to look it up. */
export interface Place {
  readonly file: string;
  readonly line: number;
}

export interface ImportedPolicy {
  readonly place: Place;
  readonly policy: PolicyView;
}

export interface ImportedUser {
  readonly place: Place;
  readonly name: string;
  readonly kind: UserView['kind'];
  readonly enabled: boolean;
  /** Undefined: the file has none that could be kept. */
  readonly secret?: string;
}

/** What stands in RocketMQ's files, as users and policies of ours, and what of it can't be had. */
export interface Imported {
  readonly users: ImportedUser[];
  /** By the name of their user, which another file may hold, or the cluster. */
  readonly policies: { readonly user: string; readonly entry: ImportedPolicy }[];
  readonly leftOut: { readonly place: Place; readonly subject: string; readonly why: string }[];
}
