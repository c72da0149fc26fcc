"""A querier and member of multicast groups, on the kernel's sockets. Obeys lines on its input.

Arguments: 4 or 6, the interface, the group, a UDP port. Prints `ready`, then every report that arrives as
`report <hex of the message>` and every datagram to the group as `data <text>`.

    query        asks for all groups, to be answered within a second
    join         becomes a member itself
    send <text>  sends a datagram to the group
"""
import select
import socket
import struct
import sys

family, interface, group, port = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
index = socket.if_nametoindex(interface)
is4 = family == '4'
kind = socket.AF_INET if is4 else socket.AF_INET6


def membership(address):
    if is4:
        return socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack(
            '4s4si', socket.inet_aton(address), bytes(4), index)
    return socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, struct.pack(
        '16sI', socket.inet_pton(kind, address), index)


def send_by_interface(sock):
    if is4:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack('4s4si', bytes(4), bytes(4), index))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 1)


def checksum(data):
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


raw = socket.socket(kind, socket.SOCK_RAW, socket.IPPROTO_IGMP if is4 else socket.IPPROTO_ICMPV6)
raw.setsockopt(*membership('224.0.0.22' if is4 else 'ff02::16'))
send_by_interface(raw)
if is4:
    raw.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([148, 4, 0, 0]))
else:
    raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_HOPOPTS, bytes([0, 0, 5, 2, 0, 0, 1, 0]))
udp = socket.socket(kind, socket.SOCK_DGRAM)
udp.bind(('' if is4 else '::', port))
send_by_interface(udp)
print('ready', flush=True)


def query():
    if is4:
        message = struct.pack('!BBH4sBBH', 0x11, 10, 0, bytes(4), 2, 125, 0)
        message = message[:2] + struct.pack('!H', checksum(message)) + message[4:]
        raw.sendto(message, ('224.0.0.1', 0))
    else:
        raw.sendto(struct.pack('!BBHHH16sBBH', 130, 0, 0, 1000, 0, bytes(16), 2, 125, 0), ('ff02::1', 0, 0, index))


while True:
    readable, _, _ = select.select([raw, udp, sys.stdin], [], [], 60)
    if not readable:
        sys.exit('nothing to do for a minute')
    if raw in readable:
        data = raw.recvfrom(65536)[0]
        if is4:
            data = data[(data[0] & 15) * 4:]
        if data[0] == (0x22 if is4 else 143):
            print('report', data.hex(), flush=True)
    if udp in readable:
        print('data', udp.recvfrom(65536)[0].decode(), flush=True)
    if sys.stdin in readable:
        line = sys.stdin.readline().strip()
        if line == '':
            break
        if line == 'query':
            query()
        elif line == 'join':
            udp.setsockopt(*membership(group))
            print('joined', flush=True)
        else:
            udp.sendto(line[5:].encode(), (group, port) if is4 else (group, port, 0, index))
