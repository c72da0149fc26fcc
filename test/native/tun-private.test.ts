import { describePrivateTun } from './support/private-tun.js';

describePrivateTun('whoever runs the tests');
