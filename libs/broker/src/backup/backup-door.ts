import type { BackupAdmin } from '@cometmq/client';
import { internal } from '@cometmq/proto';
import { answering, type GrpcMethod } from '@cometmq/rpc';

/** What operators ask of backups. */
export function backupMethods(admin: () => BackupAdmin, brokerName: string): Readonly<Record<string, GrpcMethod>> {
  return {
    StartBackup: unary(async (request) => {
      await admin().begin(brokerName, internal.StartBackupRequest.decode(request).id);
      return internal.StartBackupResponse.encode({}).finish();
    }),
    VerifyBackup: unary(async (request) => {
      await admin().verify(brokerName, internal.VerifyBackupRequest.decode(request).id);
      return internal.VerifyBackupResponse.encode({}).finish();
    }),
    ListBackups: unary(async (request) => {
      const { max } = internal.ListBackupsRequest.decode(request);
      const { backups, job } = await admin().list(brokerName, max);
      const wire = job && { ...job, problems: [...job.problems] };
      return internal.ListBackupsResponse.encode({ backups: [...backups], job: wire }).finish();
    }),
  };
}

function unary(act: (request: Uint8Array) => Promise<Uint8Array>): GrpcMethod {
  return { kind: 'unary', handler: answering(act) };
}
