/**
 * Express, Fastify and socket.io on a private network, asked by axios, got and socket.io's client. Two stacks
 * are joined by a pipe; nothing of it touches the host's network.
 *
 *     npx tsx examples/express.ts
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import axios from 'axios';
import express from 'express';
import Fastify from 'fastify';
import { got } from 'got';
import { Server as IoServer } from 'socket.io';
import { io } from 'socket.io-client';
import { createPipe, Stack, SystemClock, SystemRandom } from 'tunstack';

const [near, far] = createPipe({ clock: new SystemClock() });
const office = new Stack({ clock: new SystemClock(), random: new SystemRandom() });
const cloud = new Stack({ clock: new SystemClock(), random: new SystemRandom() });
office.addLink(near, { addresses: ['10.0.0.1/24'] });
cloud.addLink(far, { addresses: ['10.0.0.2/24'] });

// Express: `serve` where there was `listen`.
const app = express();
app.get('/hello/:name', (request, response) => {
  response.send(`Hello ${request.params.name}, you are ${request.ip?.replace('::ffff:', '')}`);
});
const web = cloud.serve(app, 80);

// Fastify: it listens when it is ready.
const api = Fastify();
api.get('/add/:a/:b', async ({ params }) => {
  const { a, b } = params as { a: string; b: string };
  return { sum: Number(a) + Number(b) };
});
const apiServer = cloud.serve(api, 8080);

// socket.io: on a server of http, like any other.
const chatServer = cloud.serve(createServer(), 3000);
const chat = new IoServer(chatServer);
chat.on('connection', (socket) => socket.on('say', (words, done) => done(`heard: ${words}`)));
await Promise.all([web, apiServer, chatServer].map((server) => once(server, 'listening')));

// Clients: an agent is all they take.
const agent = office.agent();
const page = await axios.get('http://10.0.0.2/hello/office', { httpAgent: agent, proxy: false });
console.log('express:  ', page.data);
const sum = await got('http://10.0.0.2:8080/add/40/2', { agent: { http: agent } }).json<{ sum: number }>();
console.log('fastify:  ', sum);
// Its types know the agents of browsers only.
const socket = io('http://10.0.0.2:3000', { agent: agent as never });
console.log('socket.io:', await socket.emitWithAck('say', 'good morning'));

socket.close();
agent.destroy();
await Promise.all([api.close(), chat.close()]);
web.close();
await once(web, 'close');
office.close();
cloud.close();
