/** Of what a simulation is made. */

/** What breaks, and what is mended. */
export const faultKinds = [
  ...(['power', 'kill', 'start', 'stop', 'pause', 'resume', 'cut', 'slow', 'break', 'heal', 'jump'] as const),
  ...(['hang', 'slow disk', 'flip', 'flip file', 'sync fails', 'disk full', 'namesrv'] as const),
  ...(['etcd away', 'etcd loses an answer', 'etcd tells watches nothing', 'etcd set back'] as const),
];
export type FaultKind = (typeof faultKinds)[number];

/** What clients send and receive, by topic. */
export const workloads = ['orders', 'steps', 'later', 'deals', 'sessions', 'risky'] as const;
export type Workload = (typeof workloads)[number];
