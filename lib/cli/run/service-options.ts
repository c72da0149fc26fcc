/** What the stack offers to programs of its namespace. */
import type { OptionSpec } from '../frame/spec.js';
import * as values from '../frame/values.js';

export const SERVICE_OPTIONS: readonly OptionSpec[] = [
  {
    flags: '--http-root <directory>',
    description: 'serve the files of a directory over HTTP',
    completes: 'directory',
  },
  { flags: '--http-port <port>', description: 'where', parse: values.port, default: 80 },
  { flags: '--echo', description: 'serve echo over TCP and UDP, port 7' },
  { flags: '--discard', description: 'serve discard over TCP and UDP, port 9' },
  { flags: '--source', description: 'serve endless data over TCP, port 19' },
];
