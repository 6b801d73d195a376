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

import { type ProxyContext, LeaderCall } from '../proxy-context.js';
import { rules } from '../rules.js';
import { type Outcome, ok, outcomeOf } from '../status.js';
import type { Caller } from '../caller.js';
import { coldCall, failureOf } from './cold-call.js';
import { checkInvisibleTime, checkNames, leaderSaid, readReceipt, repeatsForEver } from './receipts.js';
import { durationMs } from './receive-request.js';

export function changeInvisibleDuration(context: ProxyContext): UnaryHandler {
  return coldCall(
    context,
    'ChangeInvisibleDuration',
    ChangeInvisibleDurationRequest,
    ChangeInvisibleDurationResponse,
    () => undefined, // In `change`: a refusal, too, carries the handle that came.

    async (request, caller) => {
      try {
        return answer(ok, await change(context, request, caller));
      } catch (caught) {
        return answer(outcomeOf(failureOf(context, 'ChangeInvisibleDuration', caught)), request.receiptHandle);
      }
    },
  );
}

function answer(outcome: Outcome, receiptHandle: string): ChangeInvisibleDurationResponse {
  return { status: { ...outcome }, receiptHandle };
}

/** @returns the new handle. */
async function change(context: ProxyContext, request: ChangeInvisibleDurationRequest, caller: Caller): Promise<string> {
  const group = request.group?.name ?? '';
  const topic = request.topic?.name ?? '';
  rules.consume(caller, group, topic);
  checkNames(context, group, topic);
  const wanted = request.invisibleDuration;
  const askedMs = wanted ? durationMs(wanted.seconds, wanted.nanos) : 0;
  const { invisibleMsMax } = context.limits;
  checkInvisibleTime(askedMs, 0, invisibleMsMax);
  const receipt = readReceipt(context, request.receiptHandle, group, topic);
  const invisibleMs = nodeNackMs(context, caller.clientId, group, receipt.attempt, askedMs) ?? askedMs;
  const giveUpMs = context.giveUpMs(caller.call);
  const changed = await context.asks<ChangeInvisibleResult>((done) =>
    new ChangeCall(context, giveUpMs, receipt, invisibleMs, request.suspend ?? false, (error, result) =>
      done(leaderSaid(error, repeatsForEver(caller.call)), result),
    ).start(),
  );
  return context.handles.write(changed?.receipt ?? receipt);
}

/**
 * The official Node.js push consumer gives failed messages back for 0 to a few milliseconds, as it takes the policy's
 * seconds for milliseconds or ignores it: without this, a failing message is through all its attempts in a second.
 */
function nodeNackMs(
  context: ProxyContext,
  clientId: string,
  group: string,
  attempt: number,
  askedMs: number,
): number | undefined {
  if (askedMs >= 1000) return undefined;
  const session = context.sessions.get(clientId);
  if (session?.language !== 'HTTP' || session.clientType !== ClientType.PUSH_CONSUMER) return undefined;
  const policy = context.parts.directory.group(group)?.retryPolicy;
  return policy && retryDelayMs(policy, Math.max(1, attempt));
}

class ChangeCall extends LeaderCall<ChangeInvisibleResult> {
  constructor(
    context: ProxyContext,
    giveUpMs: number,
    private readonly receipt: Receipt,
    private readonly invisibleMs: number,
    private readonly suspend: boolean,
    private readonly done: Done<ChangeInvisibleResult>,
  ) {
    super(context, giveUpMs);
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
