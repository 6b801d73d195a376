import { internal } from '@cometmq/proto';
import {
  identitiesToWire,
  identityServiceName,
  policiesBefore,
  policiesFromWire,
  userChangeFromWire,
  userDraftFromWire,
  userToWire,
  type Asker,
  type IdentityService,
} from '@cometmq/client';
import { answering, failWith, type GrpcMethod, type MessageSink } from '@cometmq/rpc';
import { MqError } from '@cometmq/shared';

import { decoded } from './decoded.js';
import type { NameServiceEndpoint } from './naming-service.js';

/** `IdentityService` for other processes. A watcher that takes nothing is sent away: it comes again, and is told the whole. */
export function identityDoor(identities: IdentityService): NameServiceEndpoint {
  const watchers = new Set<MessageSink>();
  function method<Q>(
    codec: { decode(bytes: Uint8Array): Q },
    act: (request: Q, asker: Asker) => Promise<Uint8Array>,
  ): GrpcMethod {
    return {
      kind: 'unary',
      handler: answering(async (bytes, call) => act(decoded(codec, bytes), call)),
    };
  }
  const { UserAnswer, IdentityAnswer } = internal;
  const done = async (asked: Promise<void>): Promise<Uint8Array> => {
    await asked;
    return IdentityAnswer.encode({}).finish();
  };
  return {
    close: () => {
      for (const out of watchers) failWith(out, new MqError('UNAVAILABLE', 'this name service is stopping'));
    },
    name: identityServiceName,
    methods: {
      Watch: {
        kind: 'serverStream',
        handler: (_request, call, out) => {
          watchers.add(out);
          const unwatch = identities.watch((update) => {
            for (const frame of identitiesToWire(update)) {
              if (out.open && !out.write(internal.IdentityUpdate.encode(frame).finish())) blocked = true;
            }
            if (!blocked) return;
            waiting += 1;
            if (waiting > waitingMax) failWith(out, new MqError('UNAVAILABLE', 'the watcher takes nothing'));
          });
          let blocked = false;
          let waiting = 0;
          out.onDrain(() => {
            blocked = false;
            waiting = 0;
          });
          call.onCancel(() => {
            watchers.delete(out);
            unwatch();
          });
        },
      },
      CreateUser: method(internal.UserDraft, async (draft, asker) =>
        UserAnswer.encode({ user: userToWire(await identities.createUser(userDraftFromWire(draft), asker)) }).finish(),
      ),
      UpdateUser: method(internal.UserChange, async (change, asker) =>
        UserAnswer.encode({
          user: userToWire(await identities.updateUser(change.name, userChangeFromWire(change), asker)),
        }).finish(),
      ),
      DeleteUser: method(internal.UserRequest, ({ name }, asker) => done(identities.deleteUser(name, asker))),
      RevokeToken: method(internal.RevokedToken, (token) => done(identities.revokeToken(token))),
      SetPolicies: method(internal.UserPolicies, (policies, asker) =>
        done(identities.setPolicies(policiesFromWire(policies), policiesBefore(policies), asker)),
      ),
    },
  };
}

/** Updates that may wait to be taken. */
const waitingMax = 1_000;
