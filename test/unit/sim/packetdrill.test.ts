/** The runner of scripts in packetdrill's notation: what it understands, what it refuses, how it fails. */
import { expect } from 'chai';
import {
  PacketdrillFailure,
  type PacketdrillOptions,
  PacketdrillSyntaxError,
  packetdrillVersions,
  runPacketdrill,
} from '../../../lib/sim/packetdrill/packetdrill.js';

const SOCKET = `
 0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
`;
const ESTABLISHED = `${SOCKET}
 +0 < S 0:0(0) win 32792 <mss 1000,sackOK,nop,nop,nop,wscale 7>
 +0 > S. 0:0(0) ack 1 <...>
 +.1 < . 1:1(0) ack 1 win 257
 +0 accept(3, ..., ...) = 4
`;

const run = (script: string, options: PacketdrillOptions = {}): void => void runPacketdrill(script, options);

/** The failure a script ends in. */
function failureOf(script: string, options: PacketdrillOptions = {}): PacketdrillFailure {
  try {
    runPacketdrill(script, { name: 'test.pkt', ...options });
  } catch (error) {
    if (error instanceof PacketdrillFailure) return error;
    throw error;
  }
  return expect.fail('the script passed');
}

describe('a script in packetdrill notation', () => {
  it('runs once for each version of IP it asks for, IPv4 by default', () => {
    expect(packetdrillVersions(ESTABLISHED)).to.deep.equal(['ipv4']);
    const all = `--ip_version=ipv4,ipv6,ipv4-mapped-ipv6\n${ESTABLISHED}`;
    expect(packetdrillVersions(all)).to.deep.equal(['ipv4', 'ipv6', 'ipv4-mapped-ipv6']);
    const results = runPacketdrill(all);
    expect(results.map(({ ipVersion }) => ipVersion)).to.deep.equal(['ipv4', 'ipv6', 'ipv4-mapped-ipv6']);
    expect(results[0].durationUs).to.equal(100_000);
  });

  it('may have comments in three ways, and events over several lines', () => {
    run(`# shell
      // C++
      /* C,
         over lines */
      0 socket(...,   /* inside */
          SOCK_STREAM, IPPROTO_TCP) = 3 // behind
      +0 close(3) = 0`);
  });

  it('counts times from the beginning, from the event before, within ranges, or not at all', () => {
    run(`${ESTABLISHED}
      0.2 write(4, ..., 10) = 10
      0.2 > P. 1:11(10) ack 1
      0.3~0.6 > P. 1:11(10) ack 1
      +.1~+1 > P. 1:11(10) ack 1
      * > P. 1:11(10) ack 1`);
    expect(failureOf(`${ESTABLISHED}\n .05 write(4, ..., 10) = 10`).message).to.include('over already');
    const late = failureOf(`${ESTABLISHED}
      +0 write(4, ..., 10) = 10
      +0 > P. 1:11(10) ack 1
      +.5 > P. 1:11(10) ack 1`);
    expect(late).to.include({ expected: 'at 0.600000', actual: 'at 0.400000' });
    run(`--tolerance_usecs=300000\n${ESTABLISHED}
      +0 write(4, ..., 10) = 10
      +0 > P. 1:11(10) ack 1
      +.5 > P. 1:11(10) ack 1`);
  });

  it('knows calls that block by the time of their return', () => {
    const script = (end: string): string => `${ESTABLISHED}
      +0...${end} read(4, ..., 100) = 50
      +.2 < P. 1:51(50) ack 1 win 257
      +0 > . 1:1(0) ack 51
      +0 close(4) = 0`;
    run(script('0.2'));
    expect(failureOf(script('0.3')).message).to.include('read returned at another time');
    expect(failureOf(`${ESTABLISHED}\n+0 read(4, ..., 100) = 50`).message).to.include('read blocks');
    expect(failureOf(`${ESTABLISHED}\n+0...1 read(4, ..., 100) = 50`).message).to.include(
      'read still blocks',
    );
  });

  it('translates sequence numbers and timestamps of the stack, whatever they are', () => {
    run(`${SOCKET}
      +0 < S 7000:7000(0) win 32792 <mss 1000,sackOK,TS val 5 ecr 0>
      +0 > S. 500:500(0) ack 7001 <mss 1460,sackOK,TS val 4000000000 ecr 5>
      +.1 < . 7001:7001(0) ack 501 win 257 <nop,nop,TS val 6 ecr 4000000000>
      +0 accept(3, ..., ...) = 4
      +0 %{ assert tcpi_rtt == 100000, tcpi_rtt }%
      +0 write(4, ..., 10) = 10
      +0 > P. 501:511(10) ack 7001 <nop,nop,TS val 1 ecr 6>`);
  });

  it('compares TSval only where the tick is told', () => {
    const script = `${SOCKET}
      +0 < S 0:0(0) win 32792 <mss 1000,sackOK,TS val 5 ecr 0>
      +0 > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 100 ecr 5>
      +1 > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 777 ecr 5>`;
    run(script);
    expect(failureOf(`--tcp_ts_tick_usecs=1000\n${script}`).message).to.include('differs: options');
    run(`--tcp_ts_tick_usecs=1000\n${script.replace('777', '1100')}`);
  });

  it('may have one line for what a kernel would have handed over as one', () => {
    run(`${ESTABLISHED}
      +0 write(4, ..., 3500) = 3500
      +0 > P. 1:3501(3500) ack 1`);
    run(`${ESTABLISHED}
      +0 write(4, ..., 3500) = 3500
      +0 > . 1:2001(2000) ack 1
      +0 > P. 2001:3501(1500) ack 1`);
    const two = failureOf(`${ESTABLISHED}
      +0 setsockopt(4, SOL_TCP, TCP_NODELAY, [1], 4) = 0
      +0 write(4, ..., 10) = 10
      +0 write(4, ..., 10) = 10
      +0 > P. 1:21(20) ack 1`);
    expect(two.actual).to.match(/^> P\. 1:11\(10\) ack 1/);
  });

  it('compares options byte by byte, and not at all with <...>', () => {
    const answer = (options: string): string => `${SOCKET}
      +0 < S 0:0(0) win 32792 <mss 1000>
      +0 > S. 0:0(0) ack 1 ${options}`;
    run(answer('<mss 1460>'));
    run(answer('<...>'));
    for (const options of ['', '<mss 1461>', '<mss 1460,nop,nop>']) {
      expect(failureOf(answer(options)).message).to.include('the packet differs: options');
    }
  });

  it('injects ICMP errors about what was sent', () => {
    run(`
      0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3
      +0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
      +0 > S 0:0(0) <...>
      +0 < icmp unreachable port_unreachable [0:0(0)]
      +0 getsockopt(3, SOL_SOCKET, SO_ERROR, [ECONNREFUSED], [4]) = 0`);
  });

  it('replaces names that are defined', () => {
    run(`--define=BYTES=10\n${ESTABLISHED}\n+0 write(4, ..., BYTES) = BYTES`);
    run(`${ESTABLISHED}\n+0 write(4, ..., MANY) = 20`, { defines: { MANY: '20' } });
  });

  it('forgives packets that no line expects, unless it is strict', () => {
    const script = `${ESTABLISHED}
      +0 write(4, ..., 10) = 10
      +.1 write(4, ..., 10) = 10`;
    run(script);
    const failure = failureOf(script, { strict: true });
    expect(failure.message).to.include('a packet no line expects');
    expect(failure.actual).to.match(/^> P\. 1:11\(10\) ack 1 win \d+$/);
  });
});

describe('a script that fails', () => {
  it('shows the expected and the actual line, and what happened around it side by side', () => {
    const failure = failureOf(`${ESTABLISHED}
      +0 write(4, ..., 2000) = 2000
      +0 > . 1:1001(1000) ack 1
      +0 > P. 1001:2001(1000) ack 2`);
    expect(failure).to.include({
      line: 13,
      expected: '> P. 1001:2001(1000) ack 2',
      actual: '> P. 1001:2001(1000) ack 1 win 512',
    });
    const lines = failure.message.split('\n');
    expect(lines[0]).to.equal('test.pkt:13: the packet differs: ack');
    expect(lines[1]).to.equal('  expected  > P. 1001:2001(1000) ack 2');
    expect(lines[2]).to.equal('  actual    > P. 1001:2001(1000) ack 1 win 512');
    expect(lines[3]).to.match(/^ {8}script +│ stack$/);
    expect(failure.message).to.match(
      /^ {4}12 {2}\+0 > \. 1:1001\(1000\) ack 1 +│ 0\.100000 > \. 1:1001\(1000\) ack 1 win 512$/m,
    );
    expect(failure.message).to.match(
      /^✗ {3}13 {2}\+0 > P\. 1001:2001\(1000\) ack 2 +│ 0\.100000 > P\. 1001:2001\(1000\) ack 1 win 512$/m,
    );
  });

  it('shows what was sent and not yet compared', () => {
    const failure = failureOf(`${ESTABLISHED}
      +0 write(4, ..., 2000) = 2000
      +0 > . 1:900(899) ack 1`);
    expect(failure.trace).to.match(/│ > P\. 1001:2001\(1000\) ack 1 win 512 {2}\(not compared\)$/m);
  });

  it('says that nothing was sent, and until when', () => {
    const failure = failureOf(`${ESTABLISHED}\n+1 > . 1:1(0) ack 1`);
    expect(failure).to.include({ expected: '> . 1:1(0) ack 1', actual: 'nothing until 1.104000' });
  });

  it('shows what a call returned', () => {
    expect(failureOf('0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 listen(7, 1) = 0')).to.include({
      expected: 'listen(...) = 0',
      actual: 'listen(...) = -1 EBADF',
    });
    expect(failureOf(`${SOCKET}\n+0 getsockopt(3, SOL_SOCKET, SO_ACCEPTCONN, [0], [4]) = 0`)).to.include({
      expected: '0',
      actual: '1',
    });
  });
});

describe('what a script cannot have', () => {
  const refusals: Readonly<Record<string, readonly [script: string, said: string]>> = {
    'an unknown option': [
      '--colour=red\n0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3',
      '--colour is not supported',
    ],
    'an unknown event': ['0 ?', 'a packet, a system call'],
    'a segment whose numbers do not fit': ['0 < S 0:5(0) win 1', '0:5 are not 0 bytes'],
    'an unknown TCP option': ['0 < S 0:0(0) win 1 <md5 valid>', 'the TCP option "md5 valid"'],
    'any options on an inbound segment': ['0 < S 0:0(0) win 1 <...>', 'for outbound'],
    UDP: ['0 < udp (100)', 'UDP is not supported'],
  };
  for (const [what, [script, said]] of Object.entries(refusals)) {
    it(`is refused: ${what}`, () => {
      expect(() => run(script)).to.throw(PacketdrillSyntaxError, said);
    });
  }

  const failures: Readonly<Record<string, readonly [script: string, said: string]>> = {
    'a call': ['0 fork() = 0', 'the system call fork is not supported'],
    'a kind of socket': ['0 socket(..., SOCK_DGRAM, IPPROTO_UDP) = 3', 'only SOCK_STREAM'],
    'a sysctl': ['`sysctl -q net.ipv4.tcp_colour=1`', 'the sysctl net.ipv4.tcp_colour is not supported'],
    'a value of a sysctl': ['`sysctl net.ipv4.tcp_dsack=0`', 'only 1 is supported'],
    'a sysctl that comes too late': [
      `${SOCKET}\n+0 \`sysctl net.ipv4.tcp_syncookies=0\``,
      'before the first event',
    ],
    'a command': ['`rm -rf /`', 'the command "rm -rf /" is not supported'],
    'Python beyond assertions': [`${SOCKET}\n+0 %{ for x in y: pass }%`, 'is not supported in %{ }%'],
    'a name': [`${ESTABLISHED}\n+0 %{ assert tcpi_colour == 1 }%`, '"tcpi_colour" is not known'],
  };
  for (const [what, [script, said]] of Object.entries(failures)) {
    it(`is told apart from what the stack does wrong: ${what}`, () => {
      expect(failureOf(script).message).to.include(said);
    });
  }

  it('is an error, not a failure, of socket options: ENOPROTOOPT', () => {
    run(
      '0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 setsockopt(3, SOL_TCP, TCP_REPAIR, [1], 4) = -1 ENOPROTOOPT',
    );
  });
});

describe('calls of a script', () => {
  it('compare the fields of tcp_info that they name', () => {
    run(
      `${ESTABLISHED}\n+0 getsockopt(4, SOL_TCP, TCP_INFO, {tcpi_rtt=100000, tcpi_snd_cwnd=10}, [...]) = 0`,
    );
    const failure = failureOf(`${ESTABLISHED}\n+0 getsockopt(4, SOL_TCP, TCP_INFO, {tcpi_rtt=7}, [...]) = 0`);
    expect(failure).to.include({ expected: '7', actual: '100000' });
    const unknown = failureOf(`${ESTABLISHED}\n+0 getsockopt(4, SOL_TCP, TCP_INFO, {tcpi_x=7}, [...]) = 0`);
    expect(unknown.message).to.include('"tcpi_x" of tcp_info is not known');
  });

  it('move vectors and messages, and compare what they read with a text', () => {
    run(`${ESTABLISHED}
      +0 writev(4, [{"ab", 2}, {..., 3}], 2) = 5
      +0 > P. 1:6(5) ack 1
      +.01 < . 1:1(0) ack 6 win 257
      +0 sendmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 1000}], msg_flags=0}, 0) = 1000
      +0 > P. 6:1006(1000) ack 1
      +0 < P. 1:11(10) ack 6 win 257
      +0 > . 1006:1006(0) ack 11
      +0 recvmsg(4, {msg_name(...)=..., msg_iov(2)=[{..., 4}, {..., 6}], msg_flags=0}, 0) = 10
      +0 < P. 11:21(10) ack 1006 win 257
      +0 > . 1006:1006(0) ack 21
      +0 read(4, "\\x00\\x00", 2) = 2`);
  });

  it('may be limited to a segment size by the head of the script', () => {
    run(`--mss=600\n${SOCKET}\n+0 < S 0:0(0) win 1000 <mss 1000>\n+0 > S. 0:0(0) ack 1 <mss 600>`);
  });
});

describe('assertions of a script', () => {
  const check = (code: string): void => run(`${ESTABLISHED}\n+0 %{\n${code}\n}%`);

  it('compute as Python does', () => {
    check(`
      assert 1 + 2 * 3 == 7 and -7 // 2 == -4 and -7 % 3 == 2 and 7 / 2 == 3.5
      assert 2 ** 3 ** 2 == 512 and -2 ** 2 == -4
      assert 1 < 2 <= 2 and not 1 < 1 < 2
      assert (1 | 6) == 7 and 6 & 3 == 2 and 1 << 4 == 16
      assert abs(-3) == 3 and min(4, 2, 3) == 2 and max(4, 2) == 4 and int(2.9) == 2
      assert (5 if 0 else 6) == 6 and (0 or 7) == 7 and True
      x = tcpi_snd_cwnd * 2; assert x == 20, x  # with a comment
      assert tcpi_snd_cwnd == 10, \\
          'cwnd is %d' % tcpi_snd_cwnd
      assert tcpi_state == TCP_ESTABLISHED and tcpi_ca_state == TCP_CA_Open`);
  });

  it('fail with their text, their message and what they were about', () => {
    const failure = failureOf(`${ESTABLISHED}\n+0 %{ assert tcpi_snd_cwnd == 11, 'why' }%`);
    expect(failure.message).to.include("assert tcpi_snd_cwnd == 11, 'why': why\n(tcpi_snd_cwnd = 10)");
  });

  it('print to whoever listens', () => {
    const printed: string[] = [];
    run(`${ESTABLISHED}\n+0 %{ print(tcpi_snd_cwnd, 'and', 1 == 1); print 7 }%`, {
      print: (text) => void printed.push(text),
    });
    expect(printed).to.deep.equal(['10 and True', '7']);
  });
});

describe('commands of a script', () => {
  const synAck = (command: string, syn: string, options: string): void =>
    run(`\`${command}\`\n${SOCKET}\n+0 < S 0:0(0) win 32792 <${syn}>\n+0 > S. 0:0(0) ack 1 <${options}>`);

  it('set what the stack has a setting for, however they are written', () => {
    const off = 'mss 1460,nop,wscale 7';
    const syn = 'mss 1000,sackOK,TS val 1 ecr 0,nop,wscale 7';
    synAck('sysctl -q net.ipv4.tcp_timestamps=0 net.ipv4.tcp_sack=0', syn, off);
    synAck('sysctl -w net.ipv4.tcp_timestamps = 0\nsysctl net/ipv4/tcp_sack=0 > /dev/null 2>&1', syn, off);
    synAck('./set_sysctls.py /proc/sys/net/ipv4/tcp_timestamps=0 /proc/sys/net/ipv4/tcp_sack=0', syn, off);
    synAck('echo 0 > /proc/sys/net/ipv4/tcp_timestamps; echo 0 > /proc/sys/net/ipv4/tcp_sack', syn, off);
    synAck(
      'sysctl -q net.ipv4.tcp_rmem="4096 65536 131070"',
      'mss 1000,nop,wscale 7',
      'mss 1460,nop,wscale 1',
    );
  });

  it('are ignored where they only tune a kernel, and defaults.sh gives the receive buffer that its users expect', () => {
    const tuning = 'tc qdisc replace dev tun0 root pfifo\nethtool -K tun0 tso off\nip tcp_metrics flush all';
    synAck(`../common/defaults.sh\n${tuning}`, 'mss 1000,nop,wscale 7', 'mss 1460,nop,wscale 8');
  });

  it('may come later, for connections that begin later', () => {
    run(`${ESTABLISHED}
      +0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 5
      +0 \`sysctl -q net.ipv4.tcp_timestamps=0\`
      +0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 6
      +0 connect(6, ..., ...) = -1 EINPROGRESS (Operation now in progress)
      +0 > S 0:0(0) <mss 1460,nop,nop,sackOK,nop,wscale 7>`);
  });
});
