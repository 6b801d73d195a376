import { brokerAddressRule } from './settings.js';

// Goal: an address that no other process could call is told at the start, and not by the others' ends. Method: addresses.
it.each([
  ['', true],
  ['broker-1:10911', true],
  ['broker_1.broker.mq.svc:10911', true],
  ['[fd00::1]:10911', true],
  ['broker-1', false],
  ['broker-1:', false],
  ['fd00::1:10911', false],
  ['http://broker-1:10911', false],
  ['broker 1:10911', false],
])('an address to be called at: "%s" is one: %s', (advertisedAddress, isOne) => {
  expect(brokerAddressRule({ advertisedAddress })).toEqual(
    isOne ? true : `advertisedAddress=${advertisedAddress}: must be host:port`,
  );
});
