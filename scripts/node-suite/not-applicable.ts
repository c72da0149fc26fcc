/**
 * Tests of Node's that say nothing about a stack in the process: what they are about needs a handle of the operating
 * system, or the insides of Node's own sockets. Each with its reason; a test that could pass does not belong here, and
 * where we differ from Node it stands in `known-differences.ts`.
 */

const CLUSTER =
  'shares a handle between the processes of a cluster; here each process has a stack of its own';
const PROCESSES = 'speaks with another process; here each process has a stack of its own';
const DESCRIPTOR = 'is about descriptors and handles, which remain those of the host';
const SPY = "spies on, or takes the place of, methods of the operating system's handle in the socket";
const INSIDES = "looks for private fields or methods of Node's own sockets";
const EARLIER =
  'takes the place of a part of Node before http or tls is loaded; tunstack/register loads them first';
const CONSUMED = "gives a parser the operating system's handle of a socket";

/** By name, without folder and ending. */
export const NOT_APPLICABLE: Readonly<Record<string, string>> = {
  'test-net-listen-exclusive-random-ports': CLUSTER,
  'test-dgram-bind-socket-close-before-cluster-reply': CLUSTER,
  'test-net-listen-handle-in-cluster-1': CLUSTER,
  'test-net-server-close-before-ipc-response': CLUSTER,
  'test-net-listen-shared-ports': CLUSTER,
  'test-net-socket-constructor': CLUSTER,
  'test-net-GH-5504': PROCESSES,
  'test-net-child-process-connect-reset': PROCESSES,
  'test-net-response-size': PROCESSES,
  'test-net-connect-options-fd': DESCRIPTOR,
  'test-net-listen-fd0': DESCRIPTOR,
  'test-net-server-listen-handle': DESCRIPTOR,
  'test-net-server-simultaneous-accepts-produce-warning-once': DESCRIPTOR,
  'test-net-deprecated-setsimultaneousaccepts': DESCRIPTOR,
  'test-net-connect-keepalive': SPY,
  'test-net-connect-nodelay': SPY,
  'test-net-end-close': SPY,
  'test-net-persistent-keepalive': SPY,
  'test-net-persistent-nodelay': SPY,
  'test-net-persistent-ref-unref': SPY,
  'test-net-server-keepalive': SPY,
  'test-net-server-nodelay': SPY,
  'test-net-socket-write-after-close': SPY,
  'test-dgram-exclusive-implicit-bind': CLUSTER,
  'test-dgram-bind-shared-ports': CLUSTER,
  'test-dgram-bind-fd': DESCRIPTOR,
  'test-dgram-bind-fd-error': DESCRIPTOR,
  'test-dgram-create-socket-handle': DESCRIPTOR,
  'test-dgram-create-socket-handle-fd': DESCRIPTOR,
  'test-dgram-send-queue-info':
    'needs a switch of Node (`--test-udp-no-try-send`) that keeps its own sockets from sending',
  'test-dgram-udp6-link-local-address': "binds to a link-local address of the host's interfaces",
  'test-net-perf_hooks': 'counts entries of PerformanceObserver, which only Node itself can make',
  'test-tls-ticket-cluster': CLUSTER,
  'test-tls-env-extra-ca': PROCESSES,
  'test-tls-clientcertengine-unsupported': EARLIER,
  'test-tls-keyengine-unsupported': EARLIER,
  'test-tls-reinitialize-listeners': INSIDES,
  'test-tls-wrap-timeout': INSIDES,
  'test-tls-writewrap-leak': INSIDES,
  'test-http-chunk-problem': PROCESSES,
  'test-http-pipeline-flood': PROCESSES,
  'test-http-server-stale-close': PROCESSES,
  'test-http-client-immediate-error': SPY,
  'test-http-client-spurious-aborted': SPY,
  'test-http-client-timeout-on-connect': INSIDES,
  'test-http-parser-lazy-loaded': EARLIER,
  'test-http-parser-timeout-reset': CONSUMED,
  'test-http-regr-gh-2928': CONSUMED,
  'test-http2-compat-socket': INSIDES,
};
