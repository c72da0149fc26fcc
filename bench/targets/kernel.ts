/** The services of the benchmark on Node's own sockets. Argument: the address to serve at. */
import dgram from 'node:dgram';
import net from 'node:net';
import { answerQuestions, serve } from './services.js';

await serve(net, dgram, process.argv[2]);
answerQuestions();
