"""A remote-controlled user of the kernel's sockets.

Reads one JSON request a line, `{"id": 1, "op": "connect", ...}`, and answers each with one line,
`{"id": 1, "value": ...}` or `{"id": 1, "error": "ECONNREFUSED"}`. Requests that block run in threads of
their own, so answers come in the order things happen. Small data travel as hexadecimal digits, of bulk
data only the hash. Sockets are known by the number they were given.
"""
import errno
import hashlib
import itertools
import json
import os
import socket
import struct
import sys
import threading

LIMIT_S = 30
TCP_STATES = ['', 'ESTABLISHED', 'SYN_SENT', 'SYN_RECEIVED', 'FIN_WAIT_1', 'FIN_WAIT_2', 'TIME_WAIT',
              'CLOSED', 'CLOSE_WAIT', 'LAST_ACK', 'LISTEN', 'CLOSING']
PIECE = 1 << 18

sockets = {}
numbers = itertools.count(1)
output = threading.Lock()


def answer(message):
    with output:
        sys.stdout.write(json.dumps(message) + '\n')
        sys.stdout.flush()


def name(address):
    return {'address': address[0], 'port': address[1]}


def adopt(sock):
    number = next(numbers)
    sock.settimeout(LIMIT_S)
    sockets[number] = sock
    return number


def described(sock):
    number = adopt(sock)
    peer = None
    try:
        peer = name(sock.getpeername())
    except OSError:
        pass
    return {'socket': number, 'local': name(sock.getsockname()), 'remote': peer}


def family_of(address):
    return socket.AF_INET6 if ':' in address else socket.AF_INET


def prepared(request, kind):
    sock = socket.socket(family_of(request['address']), kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for level, option, value in request.get('options', []):
        value = value.encode() if isinstance(value, str) else value
        sock.setsockopt(constant(level), constant(option), value)
    sock.settimeout(LIMIT_S)
    return sock


def constant(word):
    return word if isinstance(word, int) else getattr(socket, word)


def op_connect(request):
    sock = prepared(request, socket.SOCK_STREAM)
    try:
        if 'localPort' in request:
            sock.bind((request.get('localAddress', ''), request['localPort']))
        target = (request['address'], request['port'])
        if 'data' in request:
            sock.settimeout(None)
            sock.sendto(bytes.fromhex(request['data']), socket.MSG_FASTOPEN, target)
        else:
            sock.connect(target)
    except BaseException:
        sock.close()
        raise
    return described(sock)


def op_listen(request):
    sock = prepared(request, socket.SOCK_STREAM)
    sock.bind((request['address'], request.get('port', 0)))
    sock.listen(request.get('backlog', 512))
    return described(sock)


def op_udp(request):
    sock = prepared(request, socket.SOCK_DGRAM)
    sock.bind((request['address'], request.get('port', 0)))
    return described(sock)


def op_connect_udp(request):
    sock = prepared(request, socket.SOCK_DGRAM)
    sock.connect((request['address'], request['port']))
    return described(sock)


def op_accept(request):
    sock, _ = sockets[request['socket']].accept()
    return described(sock)


def op_send(request):
    sockets[request['socket']].sendall(bytes.fromhex(request['data']))


def op_urgent(request):
    sockets[request['socket']].send(bytes.fromhex(request['data']), socket.MSG_OOB)


def op_receive_urgent(request):
    return sockets[request['socket']].recv(1, socket.MSG_OOB).hex()


def op_send_to(request):
    sockets[request['socket']].sendto(bytes.fromhex(request['data']), (request['address'], request['port']))


def op_receive_from(request):
    data, sender = sockets[request['socket']].recvfrom(1 << 16)
    return {'data': data.hex(), 'from': name(sender)}


def op_receive(request):
    """Exactly `bytes` bytes, or fewer at the end of the stream."""
    sock, left, pieces = sockets[request['socket']], request['bytes'], []
    while left > 0:
        piece = sock.recv(left)
        if not piece:
            break
        pieces.append(piece)
        left -= len(piece)
    return b''.join(pieces).hex()


def op_receive_to_end(request):
    sock, count, sha = sockets[request['socket']], 0, hashlib.sha256()
    while True:
        piece = sock.recv(PIECE)
        if not piece:
            return {'bytes': count, 'sha256': sha.hexdigest()}
        count += len(piece)
        sha.update(piece)


def op_send_bulk(request):
    """Sends bytes nobody can foresee. The answer is their hash."""
    sock, left, sha = sockets[request['socket']], request['bytes'], hashlib.sha256()
    while left > 0:
        piece = os.urandom(min(left, PIECE))
        sock.sendall(piece)
        sha.update(piece)
        left -= len(piece)
    return sha.hexdigest()


def op_shutdown(request):
    sockets[request['socket']].shutdown(constant(request.get('how', 'SHUT_WR')))


def op_close(request):
    sockets.pop(request['socket']).close()


def op_reset(request):
    sock = sockets.pop(request['socket'])
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    sock.close()


def op_option(request):
    sock = sockets[request['socket']]
    level, option = constant(request['level']), constant(request['option'])
    if 'value' in request:
        value = request['value']
        sock.setsockopt(level, option, value.encode() if isinstance(value, str) else value)
    return sock.getsockopt(level, option)


def op_error(request):
    code = sockets[request['socket']].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return errno.errorcode.get(code, '') if code else ''


def op_info(request):
    """The fields of `struct tcp_info` that tests look at."""
    raw = sockets[request['socket']].getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    state, ca_state, retransmits, probes, backoff, options, scales, _ = struct.unpack_from('8B', raw)
    words = struct.unpack_from('24I', raw, 8)
    return {
        'state': TCP_STATES[state], 'retransmits': retransmits, 'probes': probes,
        'timestamps': bool(options & 1), 'sack': bool(options & 2), 'windowScaling': bool(options & 4),
        'ecn': bool(options & 8), 'synData': bool(options & 32),
        'sendScale': scales & 15, 'receiveScale': scales >> 4,
        'sendMss': words[2], 'receiveMss': words[3], 'unacked': words[4], 'lost': words[6],
        'lastAckReceivedMs': words[12], 'pathMtu': words[13], 'advertisedMss': words[19],
        'retransmitted': words[23],
    }


def serve(request):
    try:
        value = globals()['op_' + request['op']](request)
        answer({'id': request['id'], 'value': value})
    except socket.timeout:
        answer({'id': request['id'], 'error': 'ETIMEDOUT', 'message': 'nothing happened in time'})
    except OSError as problem:
        code = errno.errorcode.get(problem.errno, 'EIO')
        answer({'id': request['id'], 'error': code, 'message': str(problem)})
    except Exception as problem:
        answer({'id': request['id'], 'error': 'EPEER', 'message': repr(problem)})


answer({'id': 0, 'value': 'ready'})
for line in sys.stdin:
    threading.Thread(target=serve, args=(json.loads(line),), daemon=True).start()
