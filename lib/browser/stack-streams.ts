/** Gives every stack its `streams`, in a browser, where names are asked of the stack's own servers or of nobody. */
import { StackError } from '../base/errors.js';
import { Channel } from '../dns/channel.js';
import { offerDnsHost } from '../dns/host.js';
import { lookUp } from '../dns/lookup.js';
import { plainCodec } from '../dns/plain-codec.js';
import { MAX_TIMEOUT_MS } from '../dns/query.js';
import type { Stack } from '../stack/stack.js';
import { offerStreams } from '../streams/attach-streams.js';

offerDnsHost({
  codec: plainCodec,
  toAscii(name) {
    try {
      return new URL(`http://${name}`).hostname;
    } catch {
      return '';
    }
  },
  soon: (callback) => queueMicrotask(callback),
});

offerStreams((stack) => {
  const { servers, timeoutMs, tries } = stack.dnsSettings;
  const channel = new Channel(stack, servers, { timeoutMs, tries, maxTimeoutMs: MAX_TIMEOUT_MS });
  return (host) => addressesOf(stack, channel, host);
});

/** As `dns.lookup` finds them: in the order in which they are best tried (RFC 6724). */
const addressesOf = (stack: Stack, channel: Channel, hostname: string): Promise<string[]> =>
  new Promise((found, failed) => {
    lookUp(stack, channel, { hostname, family: 0, hints: 0, order: 'verbatim' }, (result) => {
      if (typeof result !== 'string') {
        found(result.map(({ address }) => address));
        return;
      }
      // Whoever cannot be asked now may be later; where there is nobody to be asked, there is no such name.
      const isNowhere = result === 'ENOTFOUND' || result === 'ENODATA' || channel.servers.length === 0;
      failed(new StackError(isNowhere ? 'ENOTFOUND' : 'EAI_AGAIN', 'getaddrinfo', hostname));
    });
  });

export { createStreams } from '../streams/streams.js';
