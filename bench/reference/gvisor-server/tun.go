package main

import (
	"encoding/binary"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/bufferv2"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/rawfile"
	"gvisor.dev/gvisor/pkg/tcpip/link/stopfd"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// From linux/if_tun.h and linux/virtio_net.h.
const (
	tunOffloads = 0x01 | 0x02 | 0x04 | 0x08 // TUN_F_CSUM, _TSO4, _TSO6, _TSO_ECN

	vnetHeaderBytes = 10
	vnetNeedsCsum   = 1
	vnetGSOTCPv4    = 1

	// What fits here is read into one small buffer, and the rest into a large one.
	smallBytes = 2048
	largeBytes = 64*1024 - smallBytes
)

type ifreq struct {
	name  [16]byte
	flags uint16
	_     [22]byte
}

// openTun opens a TUN in the network namespace that the file netns names. Only this thread enters it.
func openTun(netns, name string, offload bool) int {
	runtime.LockOSThread()
	ns, err := unix.Open(netns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	check(netns, err)
	check("setns", unix.Setns(ns, unix.CLONE_NEWNET))
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	check("/dev/net/tun", err)
	request := ifreq{flags: unix.IFF_TUN | unix.IFF_NO_PI}
	if offload {
		request.flags |= unix.IFF_VNET_HDR
	}
	copy(request.name[:], name)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETIFF, uintptr(unsafe.Pointer(&request))); errno != 0 {
		check("TUNSETIFF", errno)
	}
	if offload {
		check("TUNSETOFFLOAD", unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, tunOffloads))
	}
	return fd
}

// offloadLink reads and writes super-packets behind virtio headers, as netstack's own link does with a
// packet socket.
type offloadLink struct {
	fd         int
	dispatcher stack.NetworkDispatcher
	done       sync.WaitGroup
}

var _ stack.LinkEndpoint = (*offloadLink)(nil)
var _ stack.GSOEndpoint = (*offloadLink)(nil)

func (*offloadLink) MTU() uint32                             { return mtu }
func (*offloadLink) MaxHeaderLength() uint16                 { return 0 }
func (*offloadLink) LinkAddress() tcpip.LinkAddress          { return "" }
func (*offloadLink) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareNone }
func (*offloadLink) AddHeader(stack.PacketBufferPtr)         {}
func (*offloadLink) GSOMaxSize() uint32                      { return 65535 }
func (*offloadLink) SupportedGSO() stack.SupportedGSO        { return stack.HostGSOSupported }
func (l *offloadLink) IsAttached() bool                      { return l.dispatcher != nil }
func (l *offloadLink) Wait()                                 { l.done.Wait() }
func (*offloadLink) Capabilities() stack.LinkEndpointCapabilities {
	return stack.CapabilityRXChecksumOffload
}

func (l *offloadLink) Attach(dispatcher stack.NetworkDispatcher) {
	l.dispatcher = dispatcher
	if dispatcher == nil {
		return
	}
	l.done.Add(1)
	go func() {
		defer l.done.Done()
		l.receive()
	}()
}

func (l *offloadLink) receive() {
	// Nobody stops us; the reader wants to be stoppable.
	stop, stopErr := stopfd.New()
	check("eventfd", stopErr)
	var vnetHeader [vnetHeaderBytes]byte
	var small, large *bufferv2.View
	for {
		if small == nil {
			small = bufferv2.NewViewSize(smallBytes)
		}
		if large == nil {
			large = bufferv2.NewViewSize(largeBytes)
		}
		n, err := rawfile.BlockingReadvUntilStopped(stop.EFD, l.fd, []unix.Iovec{
			{Base: &vnetHeader[0], Len: vnetHeaderBytes},
			{Base: &small.AsSlice()[0], Len: smallBytes},
			{Base: &large.AsSlice()[0], Len: largeBytes},
		})
		checkStack("readv", err)
		if n -= vnetHeaderBytes; n <= 0 {
			continue
		}
		payload := bufferv2.Buffer{}
		payload.Append(small)
		small = nil
		if n > smallBytes {
			payload.Append(large)
			large = nil
		}
		payload.Truncate(int64(n))
		packet := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: payload})
		if first, ok := packet.Data().PullUp(1); ok && header.IPVersion(first) == header.IPv4Version {
			l.dispatcher.DeliverNetworkPacket(header.IPv4ProtocolNumber, packet)
		}
		packet.DecRef()
	}
}

func (l *offloadLink) WritePackets(packets stack.PacketBufferList) (int, tcpip.Error) {
	written := 0
	for _, packet := range packets.AsSlice() {
		if err := l.write(packet); err != nil {
			return written, err
		}
		written++
	}
	return written, nil
}

func (l *offloadLink) write(packet stack.PacketBufferPtr) tcpip.Error {
	var vnetHeader [vnetHeaderBytes]byte
	if gso := packet.GSOOptions; gso.Type != stack.GSONone {
		binary.LittleEndian.PutUint16(vnetHeader[2:], uint16(packet.HeaderSize()))
		if gso.NeedsCsum {
			vnetHeader[0] = vnetNeedsCsum
			binary.LittleEndian.PutUint16(vnetHeader[6:], gso.L3HdrLen)
			binary.LittleEndian.PutUint16(vnetHeader[8:], gso.CsumOffset)
		}
		if packet.Data().Size() > int(gso.MSS) {
			vnetHeader[1] = vnetGSOTCPv4
			binary.LittleEndian.PutUint16(vnetHeader[4:], gso.MSS)
		}
	}
	views := packet.AsSlices()
	vectors := make([]unix.Iovec, 0, len(views)+1)
	vectors = rawfile.AppendIovecFromBytes(vectors, vnetHeader[:], len(views)+1)
	for _, view := range views {
		vectors = rawfile.AppendIovecFromBytes(vectors, view, len(views)+1)
	}
	return rawfile.NonBlockingWriteIovec(l.fd, vectors)
}
