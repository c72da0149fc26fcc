/** A service of `@grpc/grpc-js` with calls of all four kinds, and a client that tries them. */
import { once } from 'node:events';
import * as grpc from '@grpc/grpc-js';
import { content, sha256 } from '../support/content.js';

const bytes = (value: Buffer): Buffer => value;
const codec = {
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
};

const service = {
  hash: { path: '/tests.Service/Hash', requestStream: false, responseStream: false, ...codec },
  collect: { path: '/tests.Service/Collect', requestStream: true, responseStream: false, ...codec },
  count: { path: '/tests.Service/Count', requestStream: false, responseStream: true, ...codec },
  echo: { path: '/tests.Service/Echo', requestStream: true, responseStream: true, ...codec },
} satisfies grpc.ServiceDefinition;

/** Larger than the default limit of a message, 4 MB. */
const options = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 };

export function grpcServer(): grpc.Server {
  const server = new grpc.Server(options);
  server.addService(service, {
    hash({ request }: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) {
      if (request.length === 0) done({ code: grpc.status.INVALID_ARGUMENT, details: 'nothing to hash' });
      else done(null, Buffer.from(sha256(request)));
    },
    collect(call: grpc.ServerReadableStream<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) {
      const parts: Buffer[] = [];
      call.on('data', (part: Buffer) => parts.push(part));
      call.on('end', () => done(null, Buffer.from(sha256(Buffer.concat(parts)))));
    },
    count(call: grpc.ServerWritableStream<Buffer, Buffer>) {
      for (let i = 0; i < Number(call.request); i++) call.write(Buffer.from(String(i)));
      call.end();
    },
    echo(call: grpc.ServerDuplexStream<Buffer, Buffer>) {
      call.on('data', (part: Buffer) => call.write(part));
      call.on('end', () => call.end());
    },
  });
  return server;
}

type Done = (error: grpc.ServiceError | null, answer?: Buffer) => void;

interface Calls extends grpc.Client {
  hash(request: Buffer, options: grpc.CallOptions, done: Done): grpc.ClientUnaryCall;
  collect(done: Done): grpc.ClientWritableStream<Buffer>;
  count(request: Buffer): grpc.ClientReadableStream<Buffer>;
  echo(): grpc.ClientDuplexStream<Buffer, Buffer>;
}

const Client = grpc.makeGenericClientConstructor(service, 'tests') as unknown as new (
  ...args: ConstructorParameters<typeof grpc.Client>
) => Calls;

/** Promise of what a call with a callback answers: text, or the name of its status. */
const answered = (call: (done: Done) => void): Promise<string> =>
  new Promise((resolve) => {
    call((error, answer) => resolve(error === null ? String(answer) : grpc.status[error.code]));
  });

export interface GrpcOutcome {
  readonly hash: string;
  readonly invalid: string;
  readonly collected: string;
  readonly counted: number;
  readonly echoed: string;
  readonly parallel: number;
}

/** What it must come to. */
export const EXPECTED: GrpcOutcome = {
  hash: sha256(content(5_000_000)),
  invalid: 'INVALID_ARGUMENT',
  collected: sha256(Buffer.concat(Array.from({ length: 100 }, (_, i) => content(50_000, i)))),
  counted: 2000,
  echoed: sha256(Buffer.concat(Array.from({ length: 100 }, (_, i) => content(30_000, i)))),
  parallel: 100,
};

/** Calls of all kinds, one after the other and a hundred at once; over TLS where `ca` is given. */
export async function exercise(target: string, ca?: Buffer, servername = ''): Promise<GrpcOutcome> {
  const credentials = ca === undefined ? grpc.credentials.createInsecure() : grpc.credentials.createSsl(ca);
  const name = servername === '' ? {} : { 'grpc.ssl_target_name_override': servername };
  const client = new Client(target, credentials, { ...options, ...name });
  const hash = (request: Buffer): Promise<string> => answered((done) => client.hash(request, {}, done));
  const collected = answered((done) => {
    const call = client.collect(done);
    for (let i = 0; i < 100; i++) call.write(content(50_000, i));
    call.end();
  });
  let counted = 0;
  for await (const value of client.count(Buffer.from('2000'))) {
    if (Number(value) === counted) counted++;
  }
  const echo = client.echo();
  const parts: Buffer[] = [];
  echo.on('data', (part: Buffer) => parts.push(part));
  for (let i = 0; i < 100; i++) echo.write(content(30_000, i));
  echo.end();
  await once(echo, 'end');
  const requests = Array.from({ length: 100 }, (_, i) => content(1000 + i, i));
  const answers = await Promise.all(requests.map(hash));
  const outcome = {
    hash: await hash(content(5_000_000)),
    invalid: await hash(Buffer.alloc(0)),
    collected: await collected,
    counted,
    echoed: sha256(Buffer.concat(parts)),
    parallel: answers.filter((answer, i) => answer === sha256(requests[i])).length,
  };
  client.close();
  return outcome;
}

/** How a call to a server that is not there ends. */
export async function unavailable(target: string): Promise<string> {
  const client = new Client(target, grpc.credentials.createInsecure());
  const deadline = Date.now() + 20_000;
  const error = await new Promise<grpc.ServiceError | null>((resolve) => {
    client.hash(Buffer.from('x'), { deadline }, resolve);
  });
  client.close();
  return `${grpc.status[error?.code ?? grpc.status.OK]}: ${error?.details}`;
}

/** How a call ends whose connection is lost under way, of which `isUnderWay` is told. */
export async function broken(target: string, isUnderWay: () => void): Promise<string> {
  const client = new Client(target, grpc.credentials.createInsecure());
  const call = client.echo();
  const ended = new Promise<grpc.ServiceError>((resolve) => call.once('error', resolve));
  call.once('data', isUnderWay);
  call.write(Buffer.from('x'));
  const { code, details } = await ended;
  client.close();
  return `${grpc.status[code]}: ${details}`;
}
