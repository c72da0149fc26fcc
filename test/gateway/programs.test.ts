/** `tunstack gateway` with programs that know nothing of it. */
import { programsBehindGateway } from './support/programs.js';

describe('gateway: programs inside', function () {
  this.timeout(180_000);
  programsBehindGateway();
});
