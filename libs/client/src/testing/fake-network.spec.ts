import { systemClock } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import { FakeNetwork } from './fake-network.js';
import { contractLimits, peersContract } from './peers-contract.js';
import { at, ScriptedDoor, someAttached, someBeat, someHello } from './scripted-door.js';

peersContract('faked network', async (door) => {
  const network = new FakeNetwork(systemClock, contractLimits);
  const alive = setInterval(() => undefined, 1_000); // The clock's timers alone keep no process alive.
  network.listen('a:1', door);
  return {
    peer: network.peersAt('b:1').peer('a:1'),
    kill: async () => network.unlisten('a:1'),
    lose: () => network.loseConnections('a:1', 'b:1'),
    cut: () => network.cutBoth('a:1', 'b:1'),
    close: async () => {
      network.unlisten('a:1');
      clearInterval(alive);
    },
  };
});

describe('FakeNetwork', () => {
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const turns = async (): Promise<void> => {
    for (let i = 0; i < 5; i += 1) await turn();
  };
  const followed = async (network: FakeNetwork, door: ScriptedDoor) => {
    network.listen('a:1', door);
    door.onFollow = (out) => out.attached(someAttached);
    const said: string[] = [];
    const stream = network
      .peersAt('b:1')
      .peer('a:1')
      .follow(someHello, {
        attached: () => said.push('attached'),
        batch: (_session, from) => said.push(`batch ${from}`),
        heartbeat: () => said.push('heartbeat'),
        snapshotNeeded: () => said.push('snapshotNeeded'),
        handOver: () => said.push('handOver'),
        closed: (error, refused) => said.push(`closed ${error?.code} ${refused}`),
      });
    await turns();
    return { said, stream };
  };

  it('holds up what is said on a line that is cut one way, in order, and lets the other way through', async () => {
    const network = new FakeNetwork(new ManualClock());
    const door = new ScriptedDoor();
    const { said, stream } = await followed(network, door);
    network.cut('a:1', 'b:1');
    door.outlets[0]?.heartbeat(someBeat);
    door.outlets[0]?.batch({ from: at(4), end: at(5), pieces: [Buffer.from('x')] });
    stream.ack(1, at(4));
    await turns();
    expect(said).toEqual(['attached']);
    expect(door.said).toEqual(['ack 1 4']);
    network.heal('a:1', 'b:1');
    await turns();
    expect(said).toEqual(['attached', 'heartbeat', 'batch 4']);
    stream.close();
    expect(network.open).toBe(0);
  });

  it('keeps the order of a line whose delay has become shorter', async () => {
    const clock = new ManualClock();
    const network = new FakeNetwork(clock);
    const door = new ScriptedDoor();
    const { said } = await followed(network, door);
    network.setDelay('a:1', 'b:1', 500);
    door.outlets[0]?.heartbeat(someBeat);
    network.setDelay('a:1', 'b:1', 10);
    door.outlets[0]?.handOver();
    clock.advance(10);
    expect(said).toEqual(['attached', 'heartbeat']);
    clock.advance(490);
    expect(said).toEqual(['attached', 'heartbeat', 'handOver']);
  });

  it('hears of a death across a cut only by its own deadline', async () => {
    const clock = new ManualClock();
    const network = new FakeNetwork(clock);
    const door = new ScriptedDoor();
    const { said } = await followed(network, door);
    network.cutBoth('a:1', 'b:1');
    const refuses = network.peersAt('b:1').peer('a:1').refuses();
    await turns();
    clock.advance(network.limits.followSilentMs);
    await turns();
    expect(said).toEqual(['attached', 'closed TIMEOUT false']);
    expect(await refuses).toBe(false);
    expect(clock.timersWaiting).toBe(0);
  });
});
