// Goal: what specs take for the name service behaves as it does. Method: the contract that namesrv keeps too.
import { FakeNameService } from './fake-name-service.js';
import { nameServiceContract } from './name-service-contract.js';

nameServiceContract('double in memory', (graceMs) =>
  Promise.resolve({ nameService: new FakeNameService({ graceMs }), close: () => Promise.resolve() }),
);
