/** Tests of Node's that fail over the stack because it differs from Node, each with what differs. */

const NO_TICKS =
  "expects ticks between two events of one read, which Node's C++ runs for handles of its own only: over a Duplex it " +
  'fails on the host too';
const NO_SOCKET = 'a TLSSocket made without a socket stands on one of the host, which does not connect';

/** By name, without folder and ending. */
export const KNOWN_DIFFERENCES: Readonly<Record<string, string>> = {
  'test-tls-cli-min-version-1.3':
    'TLS that cannot even begin fails before there is a connection, where Node connects and sends an alert',
  'test-tls-onread-static-buffer': '`onread` given to tls.connect is not heeded',
  'test-tls-retain-handle-no-abort': NO_SOCKET,
  'test-tls-socket-default-options': NO_SOCKET,
  'test-tls-socket-close':
    '`close` comes among the immediates; Node has a phase of the event loop for it, after them',
  'test-http-agent-keepalive':
    'over the loopback `close` comes a turn of the event loop after the end, for which the test has 1 ms',
  'test-http-pause-no-dump':
    'counts on header and text of a request to arrive one after the other; here one segment carries both',
  'test-http2-compat-client-upload-reject': NO_TICKS,
  'test-http2-misbehaving-flow-control': NO_TICKS,
  'test-http2-perf_hooks':
    'counts frames: the end of a stream just after a write may travel in an empty frame of its own',
};
