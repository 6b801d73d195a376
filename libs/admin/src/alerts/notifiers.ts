import type { Clock } from '@cometmq/shared';

import type { Notify } from './alert-watch.js';
import { mail } from './mail.js';
import { webhook } from './webhook.js';

export interface NotifierSettings {
  readonly alertWebhook: string;
  readonly alertMailServer: string;
  readonly alertMailFrom: string;
  readonly alertMailTo: readonly string[];
  readonly clusterName: string;
}

/** Who is told of alerts, as it is set. */
export function alertNotifiers(settings: NotifierSettings, clock: Clock): Notify[] {
  const { alertWebhook, alertMailServer: server, alertMailFrom: from, alertMailTo: to, clusterName } = settings;
  const cluster = (): string => clusterName;
  return [
    ...(alertWebhook === '' ? [] : [webhook(alertWebhook, clock, cluster)]),
    ...(server === '' ? [] : [mail({ server, from, to, cluster })]),
  ];
}
