package main

import (
	"bytes"
	"encoding/binary"
	"net"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// As in common.h.
const (
	portEcho    = 7007
	portDiscard = 7009
	portSource  = 7019

	backlog    = 4096
	chunkBytes = 256 * 1024
)

func echo(conn *gonet.TCPConn) {
	buffer := make([]byte, 1024)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		if _, err := conn.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func discard(conn *gonet.TCPConn) {
	buffer := make([]byte, chunkBytes)
	total := uint64(0)
	for {
		n, err := conn.Read(buffer)
		total += uint64(n)
		if err != nil {
			break
		}
	}
	var count [8]byte
	binary.BigEndian.PutUint64(count[:], total)
	conn.Write(count[:])
}

func source(conn *gonet.TCPConn) {
	ended := make(chan struct{})
	go func() {
		var rest [1024]byte
		for {
			if _, err := conn.Read(rest[:]); err != nil {
				close(ended)
				conn.Close()
				return
			}
		}
	}()
	chunk := make([]byte, chunkBytes)
	for {
		if _, err := conn.Write(chunk); err != nil {
			break
		}
	}
	<-ended
}

// serveTCP listens itself: gonet's way has a backlog of 10.
func serveTCP(s *stack.Stack, port uint16, service func(*gonet.TCPConn)) {
	var queue waiter.Queue
	endpoint, err := s.NewEndpoint(tcp.ProtocolNumber, ipv4.ProtocolNumber, &queue)
	checkStack("NewEndpoint", err)
	checkStack("Bind", endpoint.Bind(tcpip.FullAddress{NIC: nic, Port: port}))
	checkStack("Listen", endpoint.Listen(backlog))
	listener := gonet.NewTCPListener(s, &queue, endpoint)
	go func() {
		for {
			conn, err := listener.Accept()
			check("accept", err)
			go func(conn net.Conn) {
				defer conn.Close()
				service(conn.(*gonet.TCPConn))
			}(conn)
		}
	}()
}

// serveUDP uses the endpoint directly: gonet allocates an address for each datagram.
func serveUDP(s *stack.Stack, port uint16) {
	var queue waiter.Queue
	endpoint, err := s.NewEndpoint(udp.ProtocolNumber, ipv4.ProtocolNumber, &queue)
	checkStack("NewEndpoint", err)
	checkStack("Bind", endpoint.Bind(tcpip.FullAddress{NIC: nic, Port: port}))
	entry, readable := waiter.NewChannelEntry(waiter.ReadableEvents)
	queue.EventRegister(&entry)
	go func() {
		var datagram bytes.Buffer
		for {
			datagram.Reset()
			result, err := endpoint.Read(&datagram, tcpip.ReadOptions{NeedRemoteAddr: true})
			if _, isEmpty := err.(*tcpip.ErrWouldBlock); isEmpty {
				<-readable
				continue
			}
			checkStack("Read", err)
			// What the link does not take is lost, as datagrams may be.
			endpoint.Write(bytes.NewReader(datagram.Bytes()), tcpip.WriteOptions{To: &result.RemoteAddr})
		}
	}()
}
