import { internal } from '@cometmq/proto';
import type {
  IdentityUpdate,
  PolicyEntry,
  RevokedToken,
  User,
  UserChange,
  UserDraft,
  UserPolicies,
} from '@cometmq/model';
import type { IncomingStream, RpcChannel } from '@cometmq/rpc';
import { MqError, sleep, type Clock, type Component, type Timer } from '@cometmq/shared';

import { BelievedMetadata } from './believed-metadata.js';
import {
  identityPath,
  IdentityUpdateReader,
  policiesToWire,
  userChangeToWire,
  userDraftToWire,
  userFromWire,
} from './identity-frames.js';
import type { IdentityService } from './identity-service.js';
import { NameServerChannels } from './name-server-channels.js';
import type { NameServersNow } from './name-servers.js';

export interface GrpcIdentityServiceOptions {
  /** They are equal: one is used until it fails, then the next. */
  readonly nameServers: NameServersNow;
  readonly connect: (address: string) => RpcChannel;
  readonly clock: Clock;
  /** Told, once each time, when what the name service shows is refused, and why. */
  readonly onRefused?: ((reason: string) => void) | undefined;
}

const callMsMax = 10_000;
const pauseMs = 100;
/** An instance that has told nothing for so long after it was asked, or after a part, does not know itself: another is asked. */
const partMsMax = 10_000;

/** `IdentityService` over gRPC, by whichever instance of the name service answers. */
export class GrpcIdentityService implements IdentityService, Component {
  readonly name = 'identity service';
  private readonly channels: NameServerChannels;
  private readonly stops = new Set<() => void>();
  private closed = false;

  constructor(private readonly options: GrpcIdentityServiceOptions) {
    this.channels = new NameServerChannels(options.nameServers, options.connect);
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.closed = true;
    for (const stop of this.stops) stop();
    this.channels.close();
    return Promise.resolve();
  }

  /**
   * Kept up over broken connections and instances that go; each new stream tells the whole first. What has been told is not
   * taken back by an instance that shows less: a user that is missing there was not deleted, one that is back was.
   */
  watch(listener: (update: IdentityUpdate) => void): () => void {
    let stream: IncomingStream | undefined;
    let timer: Timer | undefined;
    let stopped = false;
    const believed = new BelievedMetadata((reason) => this.options.onRefused?.(reason));
    const believes = (update: IdentityUpdate): boolean => {
      const { revision } = update;
      // An older release does not say whose users they are.
      if (update.kind === 'snapshot' && update.source.clusterId !== '') {
        const { replaced, ...source } = update.source;
        return believed.believes({ ...source, revision }, replaced);
      }
      believed.reached(revision);
      return true;
    };
    const open = (): void => {
      if (this.closed || stopped) return;
      const instance = this.channels.current;
      const reader = new IdentityUpdateReader();
      const request = internal.WatchIdentitiesRequest.encode({}).finish();
      const opened = this.channels.to(instance).serverStream(identityPath('Watch'), request);
      stream = opened;
      opened.onMessage((bytes) => {
        if (stream !== opened) return;
        timer?.cancel();
        const update = reader.read(internal.IdentityUpdate.decode(bytes));
        if (!update) {
          timer = this.options.clock.after(partMsMax, elsewhere); // The rest of the whole is to come.
          return;
        }
        if (believes(update)) listener(update);
        else elsewhere();
      });
      const elsewhere = (): void => {
        if (stream !== opened) return;
        stream = undefined;
        opened.cancel();
        this.channels.moveOn(instance);
        timer?.cancel();
        timer = this.options.clock.after(pauseMs, open);
      };
      timer = this.options.clock.after(partMsMax, elsewhere);
      opened.onEnd(elsewhere);
    };
    timer = this.options.clock.after(0, open);
    const stop = (): void => {
      timer?.cancel();
      stopped = true;
      const last = stream;
      stream = undefined;
      last?.cancel();
      this.stops.delete(stop);
    };
    this.stops.add(stop);
    return stop;
  }

  async createUser(draft: UserDraft): Promise<User> {
    const request = internal.UserDraft.encode(userDraftToWire(draft)).finish();
    return userFromWire(internal.UserAnswer.decode(await this.ask('CreateUser', request)).user);
  }

  async updateUser(name: string, change: UserChange): Promise<User> {
    const request = internal.UserChange.encode(userChangeToWire(name, change)).finish();
    return userFromWire(internal.UserAnswer.decode(await this.ask('UpdateUser', request)).user);
  }

  async deleteUser(name: string): Promise<void> {
    await this.ask('DeleteUser', internal.UserRequest.encode({ name }).finish());
  }

  async setPolicies(policies: UserPolicies, before?: readonly PolicyEntry[]): Promise<void> {
    await this.ask('SetPolicies', internal.UserPolicies.encode(policiesToWire(policies, before)).finish());
  }

  async revokeToken(token: RevokedToken): Promise<void> {
    await this.ask('RevokeToken', internal.RevokedToken.encode({ ...token }).finish());
  }

  private async ask(method: string, request: Uint8Array): Promise<Uint8Array> {
    const { clock } = this.options;
    const { count } = this.channels;
    const untilMs = clock.monotonicMs() + callMsMax;
    for (;;) {
      const instance = this.channels.current;
      try {
        const deadlineMs = Math.min(untilMs, clock.monotonicMs() + callMsMax / count);
        return await this.channels.to(instance).unary(identityPath(method), request, { deadlineMs });
      } catch (caught) {
        const error = MqError.from(caught);
        const isElsewhere = error.code === 'UNAVAILABLE' || error.code === 'TIMEOUT';
        if (!isElsewhere || this.closed || clock.monotonicMs() + pauseMs >= untilMs) throw error;
        this.channels.moveOn(instance);
        await sleep(clock, pauseMs);
      }
    }
  }
}
