/** Runs the checks on the wire against one deployment over one transport, several at a time. */
import type { Deployment, Transport } from '../deployment.js';
import { inTurn } from '../in-turn.js';
import type { Outcome } from '../run.js';
import { wireChecks } from './checks/index.js';
import { Talk, type WireCheck } from './talk.js';

export interface WireCell {
  readonly deployment: Deployment['name'];
  readonly transport: Transport;
  readonly check: WireCheck;
  readonly outcome: Outcome;
}

const atOnceMax = 6;

export async function runWire(
  deployment: Deployment,
  transport: Transport,
  checks: readonly WireCheck[] = wireChecks,
): Promise<WireCell[]> {
  const cells: WireCell[] = [];
  await inTurn(checks.entries(), atOnceMax, async ([number, check]) => {
    const outcome = await outcomeOf(check, deployment, transport, `wire-${transport}-${number}`);
    cells.push({ deployment: deployment.name, transport, check, outcome });
  });
  return cells;
}

async function outcomeOf(
  check: WireCheck,
  deployment: Deployment,
  transport: Transport,
  mark: string,
): Promise<Outcome> {
  const [target, other] = deployment.targets(transport);
  if (check.needsOther === true && other === undefined) return { kind: 'n/a', why: 'there is one node only' };
  const talk = new Talk(target, other ?? target, deployment.admin, mark);
  const startMs = performance.now();
  try {
    await check.check(talk);
    return { kind: 'passed', ms: performance.now() - startMs };
  } catch (caught) {
    return { kind: 'failed', why: caught instanceof Error ? (caught.stack ?? caught.message) : String(caught) };
  } finally {
    talk.close();
  }
}
