/** Gives every stack its `streams`, in a browser, where nobody else can be asked for the address of a name. */
import { StackError } from '../base/errors.js';
import { attachStreams } from '../streams/attach-streams.js';

/** `localhost` and what lies below it, which is this stack (RFC 6761 §6.3). */
const LOCALHOST = /^(?:.+\.)?localhost\.?$/i;
const LOOPBACK = ['127.0.0.1', '::1'];

attachStreams((stack) => async (host) => {
  const known = LOCALHOST.test(host) ? LOOPBACK : stack.dnsSettings.hosts.addressesOf(host)?.map(String);
  if (known === undefined) throw new StackError('ENOTFOUND', 'getaddrinfo', host);
  return known;
});

export { createStreams } from '../streams/streams.js';
