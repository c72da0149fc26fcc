/** `nodemailer` over any `net`. */
import type { Socket } from 'node:net';
import { createTransport, type Transporter } from 'nodemailer';
import type { NetModule } from '../../../lib/net/net.js';

export interface MailPlace {
  readonly host: string;
  readonly port: number;
  readonly secure?: boolean;
  readonly ca?: Buffer;
  readonly servername?: string;
  readonly auth?: { readonly user: string; readonly pass: string };
  readonly pool?: boolean;
}

type Callback = (error: Error | null, socket?: { connection: Socket }) => void;

/** A transport over a `net`: its hook is a function that hands over a connected socket. */
export function mailer(net: NetModule, { ca, servername, ...place }: MailPlace): Transporter {
  return createTransport({
    ...place,
    tls: { ca, servername },
    getSocket(_options: object, done: Callback) {
      const connection = net.connect(place.port, place.host);
      connection.once('error', done);
      connection.once('connect', () => {
        connection.off('error', done);
        done(null, { connection });
      });
    },
  } as Parameters<typeof createTransport>[0]) as Transporter;
}
