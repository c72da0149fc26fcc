import { describePrivateTun } from '../native/support/private-tun.js';

describePrivateTun('an ordinary user');
