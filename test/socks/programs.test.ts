/** `tunstack tun2socks` with programs that know nothing of it, and proxies that know nothing of us. */
import { programsBehindProxies } from './support/programs.js';

describe('tun2socks: programs inside', function () {
  this.timeout(180_000);
  programsBehindProxies();
});
