/**
 * ChangeInvisibleDuration: moves the end of a lease. A simple consumer extends with it, a push consumer gives a failed
 * message back with it; nothing tells the two apart.
 *
 * The answer always carries a usable handle, after an error the one that came: Python stores it before it looks at
 * the status.
 */
import type { BrokerLink, ChangeInvisibleResult, Done } from '@cometmq/client';
import { type Receipt, retryDelayMs } from '@cometmq/model';
import { ChangeInvisibleDurationRequest, ChangeInvisibleDurationResponse, ClientType } from '@cometmq/proto';
import type { UnaryHandler } from '@cometmq/rpc';
import type { MqError } from '@cometmq/shared';

import { type FrontDoor, LeaderCall } from '../front-door.js';
import { type Outcome, ok, outcomeOf } from '../status.js';
import { type Caller, coldCall, failureOf } from './cold-call.js';
import { checkInvisibleTime, checkNames, leaderSaid, readReceipt, repeatsForEver } from './receipts.js';
import { durationMs } from './receive-request.js';

export function changeInvisibleDuration(door: FrontDoor): UnaryHandler {
  return coldCall(
    door,
    'ChangeInvisibleDuration',
    ChangeInvisibleDurationRequest,
    ChangeInvisibleDurationResponse,
    async (request, caller) => {
      try {
        return answer(ok, await change(door, request, caller));
      } catch (caught) {
        return answer(outcomeOf(failureOf(door, 'ChangeInvisibleDuration', caught)), request.receiptHandle);
      }
    },
  );
}

function answer(outcome: Outcome, receiptHandle: string): ChangeInvisibleDurationResponse {
  return { status: { ...outcome }, receiptHandle };
}

/** @returns the new handle. */
async function change(door: FrontDoor, request: ChangeInvisibleDurationRequest, caller: Caller): Promise<string> {
  const group = request.group?.name ?? '';
  const topic = request.topic?.name ?? '';
  checkNames(door, group, topic);
  const wanted = request.invisibleDuration;
  const askedMs = wanted ? durationMs(wanted.seconds, wanted.nanos) : 0;
  const { invisibleMsMax } = door.limits;
  checkInvisibleTime(askedMs, 0, invisibleMsMax);
  const receipt = readReceipt(door, request.receiptHandle, group, topic);
  const invisibleMs = nodeNackMs(door, caller.clientId, group, receipt.attempt, askedMs) ?? askedMs;
  const renewed = await new Promise<Receipt>((resolve, reject) => {
    door.enter();
    new ChangeCall(
      door,
      door.giveUpMs(caller.call),
      receipt,
      invisibleMs,
      request.suspend ?? false,
      (error, result) => {
        door.calls -= 1;
        const refused = leaderSaid(error, repeatsForEver(caller.call));
        if (refused) reject(refused);
        else resolve(result?.receipt ?? receipt);
      },
    ).start();
  });
  return door.handles.write(renewed);
}

/**
 * The official Node.js push consumer gives failed messages back for 0 to a few milliseconds, as it takes the policy's
 * seconds for milliseconds or ignores it: without this, a failing message is through all its attempts in a second.
 */
function nodeNackMs(
  door: FrontDoor,
  clientId: string,
  group: string,
  attempt: number,
  askedMs: number,
): number | undefined {
  if (askedMs >= 1000) return undefined;
  const session = door.sessions.get(clientId);
  if (session?.language !== 'HTTP' || session.clientType !== ClientType.PUSH_CONSUMER) return undefined;
  const policy = door.parts.directory.group(group)?.retryPolicy;
  return policy && retryDelayMs(policy, Math.max(1, attempt));
}

class ChangeCall extends LeaderCall<ChangeInvisibleResult> {
  constructor(
    door: FrontDoor,
    giveUpMs: number,
    private readonly receipt: Receipt,
    private readonly invisibleMs: number,
    private readonly suspend: boolean,
    private readonly done: Done<ChangeInvisibleResult>,
  ) {
    super(door, giveUpMs);
  }

  protected get broker(): string {
    return this.receipt.broker;
  }

  protected ask(link: BrokerLink, done: Done<ChangeInvisibleResult>): void {
    const { receipt, invisibleMs, suspend } = this;
    link.changeInvisible({ receipt, invisibleMs, suspend }, done);
  }

  protected answered(error: MqError | undefined, result: ChangeInvisibleResult | undefined): void {
    this.done(error, result);
  }
}
