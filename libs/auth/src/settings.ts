import { GiB } from '@cometmq/model';
import { bytes, flag, millis, text } from '@cometmq/shared';

/** What can be set of who is let in, wherever it is checked. */
export const authSettings = {
  insecure: flag({
    default: false,
    why: 'Let everybody who reaches a port do anything: no users, no login. For networks where nobody else is.',
  }),
  signatureAgeMsMax: millis({
    default: 15 * 60_000,
    min: 0,
    max: 24 * 3_600_000,
    why: 'How far the time that a request was signed for may be from this clock; 0: any, as RocketMQ does.',
  }),
  signatureLocalTimes: flag({
    default: true,
    why: 'Take a signed time without a zone for the local one of anywhere. The official clients of Java, Go, C# and Python write their local time and call it UTC.',
  }),
};

/** Of processes that people log in to. */
export const loginSettings = {
  superSecondFactor: flag({
    default: false,
    why: 'Let super users log in to the console and the REST API only with a second factor; who has none sets one up at the login. Signed calls of programs, and logins by an identity provider, are not concerned.',
  }),
};

/** Where it is recorded who did what. */
export const auditSettings = {
  auditFile: text({
    default: '',
    why: 'A file that gets a JSON line for each change, refusal and look at messages, its owner’s to read; empty: none, and the last ones are in memory only; the standalone program with users keeps it in its data folder. While it can’t be written nothing is changed by the REST API.',
  }),
  auditFileBytesMax: bytes({
    default: 0,
    min: 0,
    max: 16 * GiB,
    why: 'A file of this length goes on as <auditFile>.1, in the place of the one before, once that is in the audit topic; at twice this length nothing is changed by the REST API any more. 0: it only grows.',
  }),
  auditTopic: flag({
    default: true,
    why: 'Where lines are written to a file, send them to the topic rmq_sys_audit_log, too.',
  }),
};

/** Of processes that are given their files; the standalone program makes its own. */
export const authFileSettings = {
  ...authSettings,
  ...auditSettings,
  secretKeyFile: text({
    default: '',
    why: 'The key file that users’ secrets are sealed under: lines of a key id and 32 bytes in base64; the first seals, all open.',
  }),
  adminSecretFile: text({
    default: '',
    why: 'A file with the name and the secret of a super user, who is made at the start, and is given this secret at the first start that finds it here; empty: none.',
  }),
};
