/** The services of the benchmark on `stack.net` and `stack.dgram`. Arguments: the namespace, its address, ours. */
import '../../lib/index.js';
import { openBenchStack } from './bench-stack.js';
import { answerQuestions, serve } from './services.js';

const { stack, address } = openBenchStack(process.argv.slice(2));
await serve(stack.net, stack.dgram, address);
answerQuestions();
