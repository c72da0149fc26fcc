/** The services of the benchmark on `stack.net` and `stack.dgram`. Arguments: the namespace, its address, ours. */
import { setFlagsFromString } from 'node:v8';
import '../../lib/index.js';
import { openBenchStack } from './bench-stack.js';
import { answerQuestions, serve } from './services.js';

// The memory of dropped Buffers is freed where the collector finds it: the thread it would leave that to comes
// too late where client and server share two processors (docs/performance.md, 'Bulk into sockets').
setFlagsFromString('--no-concurrent-array-buffer-sweeping');

const { stack, address } = openBenchStack(process.argv.slice(2));
await serve(stack.net, stack.dgram, address);
answerQuestions();
