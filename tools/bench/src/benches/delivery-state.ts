import { type Bench, type Figure } from '../bench.js';

/** Consumption without log and network. */
export const deliveryState: Bench = {
  name: 'delivery-state',
  about: 'consumption alone: deliveries and acknowledgements in batches of 32, memory of messages in flight',
  async run({ quick, inProcess }): Promise<readonly Figure[]> {
    const inFlight = quick ? 50_000 : 1_000_000;
    const found = await inProcess('delivery-state', { batches: quick ? 2_000 : 60_000, queues: 8, inFlight });
    return [
      { what: 'delivery', value: found.deliveryMicros, unit: 'CPU µs/message' },
      { what: 'acknowledgement', value: found.ackMicros, unit: 'CPU µs/message' },
      { what: 'delivery, 1,000 message groups', value: found.orderlyDeliveryMicros, unit: 'CPU µs/message' },
      { what: 'acknowledgement, 1,000 message groups', value: found.orderlyAckMicros, unit: 'CPU µs/message' },
      { what: `${inFlight.toLocaleString('en')} behind a stuck message group`, value: found.stuckMiB, unit: 'MiB' },
      { what: 'each of them, looked at and left to wait', value: found.stuckMicros, unit: 'CPU µs' },
      { what: `${inFlight.toLocaleString('en')} in flight, one by one`, value: found.inFlightMiB, unit: 'MiB' },
    ];
  },
};
