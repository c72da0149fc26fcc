/** Gives every stack its `streams`, which find names as its sockets do. */
import { lookupOf } from '../net/resolve.js';
import { attachStreams } from './attach-streams.js';

attachStreams(
  (stack) => (host) =>
    new Promise((found, failed) => {
      lookupOf(stack)(host, { all: true }, (error, addresses) => {
        if (error) failed(error);
        else found((addresses as { address: string }[]).map(({ address }) => address));
      });
    }),
);

export { createStreams } from './streams.js';
