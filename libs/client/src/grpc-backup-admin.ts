import { internal } from '@cometmq/proto';

import type { BackupAdmin, SetBackups } from './backup-admin.js';
import type { LeaderChannels } from './leader-channels.js';

const service = '/cometmq.v1.BrokerService';
/** The broker asks its bucket. */
const listMsMax = 30_000;

/** `BackupAdmin` over gRPC, to the leaders that the directory names. */
export class GrpcBackupAdmin implements BackupAdmin {
  constructor(private readonly leaders: LeaderChannels) {}

  async begin(brokerSet: string, id: string): Promise<void> {
    await this.leaders.ask(brokerSet, `${service}/StartBackup`, internal.StartBackupRequest.encode({ id }).finish());
  }

  async verify(brokerSet: string, id: string): Promise<void> {
    await this.leaders.ask(brokerSet, `${service}/VerifyBackup`, internal.VerifyBackupRequest.encode({ id }).finish());
  }

  async list(brokerSet: string, max: number): Promise<SetBackups> {
    const request = internal.ListBackupsRequest.encode({ max }).finish();
    const answer = await this.leaders.ask(brokerSet, `${service}/ListBackups`, request, listMsMax);
    const { backups, job } = internal.ListBackupsResponse.decode(answer);
    if (!job) return { backups, job };
    const { kind, endedMs, failure, ...rest } = job;
    return { backups, job: { ...rest, kind: kind === 'verification' ? kind : 'backup', endedMs, failure } };
  }
}
