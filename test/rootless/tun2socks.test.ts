/** `tunstack tun2socks` as an ordinary user. */
import { programsBehindProxies } from '../socks/support/programs.js';

describe('tun2socks of an ordinary user: programs inside', function () {
  this.timeout(180_000);
  programsBehindProxies();
});
