/** What `tunstack http` is. */
import type { CommandSpec } from '../frame/spec.js';
import * as values from '../frame/values.js';
import type { HttpOptions } from '../http/options.js';
import { FAMILY_OPTIONS } from '../network/family.js';
import { LINK_OPTIONS, VIA_HOST_OPTION } from '../network/options.js';

export const command: CommandSpec<HttpOptions> = {
  name: 'http',
  summary: 'fetch a URL over the stack',
  description: [
    'Sends one request over the stack, with TLS for https, and prints the body of the answer. Options and exit statuses ' +
      'are those of curl, as far as they go. With --json the body is shown nowhere unless -o writes it to a file.',
  ],
  arguments: [{ name: 'url', description: 'of http or https; http:// may be left out' }],
  options: [
    { flags: '-X, --request <method>', description: 'method', defaultText: 'GET; POST with -d' },
    { flags: '-H, --header <line>', description: 'a header of the request, "Name: value"', repeatable: true },
    {
      flags: '-d, --data <text>',
      description: 'body of the request; @file takes it from a file, @- from standard input',
      repeatable: true,
    },
    { flags: '-o, --output <file>', description: 'write the body to a file', completes: 'file' },
    { flags: '-i, --include', description: 'print the head of the answer too' },
    { flags: '-I, --head', description: 'ask for the head only' },
    { flags: '-L, --location', description: 'follow redirects' },
    { flags: '--max-redirects <n>', description: 'how many', parse: values.integer(0, 1000), default: 50 },
    { flags: '-f, --fail', description: 'fail where the server answers 400 or more' },
    { flags: '-k, --insecure', description: 'accept any certificate' },
    {
      flags: '--cacert <file>',
      description: 'certificates to trust, in place of the usual ones',
      completes: 'file',
    },
    { flags: '-m, --max-time <time>', description: 'how long all of it may take', parse: values.seconds },
    { flags: '--connect-timeout <time>', description: 'how long connecting may take', parse: values.seconds },
    { flags: '-s, --silent', description: 'no progress bar' },
    ...FAMILY_OPTIONS,
    VIA_HOST_OPTION,
    ...LINK_OPTIONS,
  ],
  json: 'document',
  exits: [
    { status: 3, meaning: 'the URL is malformed' },
    { status: 6, meaning: 'the host is not known' },
    { status: 7, meaning: 'no connection could be made' },
    { status: 18, meaning: 'the body broke off' },
    { status: 22, meaning: 'with -f: the server answered 400 or more' },
    { status: 23, meaning: 'the body could not be written' },
    { status: 26, meaning: 'the file of -d could not be read' },
    { status: 28, meaning: 'the time was over' },
    { status: 35, meaning: 'TLS failed' },
    { status: 47, meaning: 'there were too many redirects' },
    { status: 52, meaning: 'the server closed without an answer' },
    { status: 56, meaning: 'the connection broke' },
    { status: 60, meaning: 'the certificate is not to be trusted' },
    { status: 77, meaning: 'the file of --cacert could not be read' },
  ],
  examples: [
    {
      command: 'tunstack http https://example.com/',
      description: 'A page, over a stack that needs no right:',
    },
    {
      command: 'tunstack http --delay 100ms --loss 2% -o page.html http://localhost:8080/',
      description: 'A server on this host, as from far away:',
    },
    {
      command:
        'sudo tunstack http --tun tun7 --address 10.7.0.2/24 --host-address 10.7.0.1/24 http://10.7.0.1:8080/',
      description: 'The same across a TUN:',
    },
  ],
  async action(context) {
    const { fetchOverStack } = await import('../http/http.js');
    return fetchOverStack(context);
  },
};
