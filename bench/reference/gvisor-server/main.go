// The services of the benchmark on gVisor's netstack, over a TUN.
// usage: gvisor-server NETNS NAME OWN-ADDRESS plain|offload
package main

import (
	"fmt"
	"net"
	"os"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/link/fdbased"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

const (
	nic = 1
	mtu = 1500
)

func check(what string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

// checkStack is check for the errors of netstack, which are no error values of Go.
func checkStack(what string, err tcpip.Error) {
	if err != nil {
		check(what, fmt.Errorf("%s", err))
	}
}

// openLink is netstack's own link for plain packets, and ours for super-packets: its own uses these only
// with a packet socket.
func openLink(netns, name string, offload bool) stack.LinkEndpoint {
	fd := openTun(netns, name, offload)
	if offload {
		return &offloadLink{fd: fd}
	}
	link, err := fdbased.New(&fdbased.Options{FDs: []int{fd}, MTU: mtu})
	check("fdbased", err)
	return link
}

func newStack(link stack.LinkEndpoint, address tcpip.Address) *stack.Stack {
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol},
	})
	sack := tcpip.TCPSACKEnabled(true)
	moderate := tcpip.TCPModerateReceiveBufferOption(true)
	control := tcpip.CongestionControlOption("cubic")
	// Its defaults are 1 MiB, up to 4: as much as the kernel on the other side may use.
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: 4096, Default: 1 << 20, Max: 6 << 20}
	send := tcpip.TCPSendBufferSizeRangeOption{Min: 4096, Default: 1 << 20, Max: 6 << 20}
	for _, option := range []tcpip.SettableTransportProtocolOption{&sack, &moderate, &control, &receive, &send} {
		checkStack("option", s.SetTransportProtocolOption(tcp.ProtocolNumber, option))
	}
	checkStack("CreateNIC", s.CreateNIC(nic, link))
	checkStack("AddProtocolAddress", s.AddProtocolAddress(nic, tcpip.ProtocolAddress{
		Protocol:          ipv4.ProtocolNumber,
		AddressWithPrefix: tcpip.AddressWithPrefix{Address: address, PrefixLen: 24},
	}, stack.AddressProperties{}))
	everything, err := tcpip.NewSubnet("\x00\x00\x00\x00", "\x00\x00\x00\x00")
	check("subnet", err)
	s.SetRouteTable([]tcpip.Route{{Destination: everything, NIC: nic}})
	return s
}

func main() {
	if len(os.Args) != 5 {
		os.Exit(2)
	}
	ip := net.ParseIP(os.Args[3]).To4()
	if ip == nil {
		os.Exit(2)
	}
	s := newStack(openLink(os.Args[1], os.Args[2], os.Args[4] == "offload"), tcpip.Address(ip))
	serveTCP(s, portEcho, echo)
	serveTCP(s, portDiscard, discard)
	serveTCP(s, portSource, source)
	serveUDP(s, portEcho)
	fmt.Println("ready")
	select {}
}
