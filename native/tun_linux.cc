#include "tun_linux.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "gso.h"

#ifndef TUNGETDEVNETNS
#define TUNGETDEVNETNS _IO('T', 227)
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

namespace tunstack {
namespace {

constexpr int kVirtioBytes = sizeof(VirtioHeader);

constexpr unsigned kTso = kOffloadChecksum | kOffloadTso4 | kOffloadTso6;
constexpr unsigned kAllOffloads = kTso | kOffloadTsoEcn | kOffloadUso4 | kOffloadUso6;

Failure Failed(const char* syscall) { return {errno, syscall}; }

/// Offers the offloads the kernel may hand us, from all of them downwards. USO goes only as a pair.
unsigned NegotiateOffloads(int fd) {
  constexpr unsigned kOffers[] = {kAllOffloads, kTso | kOffloadTsoEcn, kTso, kOffloadChecksum};
  for (const unsigned offer : kOffers) {
    if (ioctl(fd, TUNSETOFFLOAD, static_cast<unsigned long>(offer)) == 0) return offer;
  }
  return 0;
}

/// Fixes the size of the virtio header: 12 bytes rather than 10 keep what follows aligned by four.
Failure SetHeader(Tun& tun) {
  int bytes = kVirtioBytes;
  if (ioctl(tun.fd, TUNSETVNETHDRSZ, &bytes) < 0) return Failed("ioctl");
  tun.headerBytes = bytes;
  tun.offloads = NegotiateOffloads(tun.fd);
  return {};
}

Failure Configure(const TunRequest& request, Tun& tun) {
  unsigned features = 0;
  if (ioctl(tun.fd, TUNGETFEATURES, &features) < 0) return Failed("ioctl");
  ifreq interface = {};
  memcpy(interface.ifr_name, request.name, kNameBytes);
  unsigned flags = (request.tap ? IFF_TAP : IFF_TUN) | IFF_NO_PI;
  if (request.multiQueue) flags |= IFF_MULTI_QUEUE;
  const bool offload = request.offload && (features & IFF_VNET_HDR) != 0;
  if (offload) flags |= IFF_VNET_HDR;
  interface.ifr_flags = static_cast<short>(flags);
  if (ioctl(tun.fd, TUNSETIFF, &interface) < 0) return Failed("ioctl");
  memcpy(tun.name, interface.ifr_name, kNameBytes);
  tun.name[kNameBytes - 1] = '\0';
  tun.multiQueue = request.multiQueue;
  tun.ethernet = request.tap;
  if (offload) {
    const Failure failure = SetHeader(tun);
    if (failure.error != 0) return failure;
  }
  if (request.persist) {
    if (ioctl(tun.fd, TUNSETPERSIST, 1ul) < 0) return Failed("ioctl");
    tun.persist = true;
  }
  return {};
}

Failure MakeNonBlocking(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) return Failed("fcntl");
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) return Failed("fcntl");
  return {};
}

/// A socket that keeps packets apart: what a VPN helper or a virtual machine hands over.
Failure AdoptSocket(int fd, int headerBytes, Tun& tun) {
  int type = 0;
  socklen_t size = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0) return {EBADFD, "ioctl"};
  if (type != SOCK_DGRAM && type != SOCK_SEQPACKET) return {EPROTOTYPE, "getsockopt"};
  tun.isTun = false;
  tun.datagrams = type == SOCK_DGRAM;
  tun.headerBytes = headerBytes;
  // Whoever reads at the other end of a virtio header takes what it can describe.
  if (headerBytes != 0) {
    tun.offloads = kAllOffloads;
  }
  return {};
}

Failure AdoptInterface(int fd, const ifreq& interface, bool offload, Tun& tun) {
  const unsigned flags = static_cast<unsigned short>(interface.ifr_flags);
  if ((flags & (IFF_TUN | IFF_TAP)) == 0 || (flags & IFF_NO_PI) == 0) return {EPROTOTYPE, "ioctl"};
  tun.ethernet = (flags & IFF_TAP) != 0;
  memcpy(tun.name, interface.ifr_name, kNameBytes);
  tun.name[kNameBytes - 1] = '\0';
  tun.multiQueue = (flags & IFF_MULTI_QUEUE) != 0;
  tun.persist = (flags & IFF_PERSIST) != 0;
  if ((flags & IFF_VNET_HDR) == 0) return {};
  int bytes = 0;
  if (ioctl(fd, TUNGETVNETHDRSZ, &bytes) < 0) return Failed("ioctl");
  if (bytes != 10 && bytes != kVirtioBytes) return {EPROTOTYPE, "ioctl"};
  tun.headerBytes = bytes;
  if (offload) tun.offloads = NegotiateOffloads(fd);
  else ioctl(fd, TUNSETOFFLOAD, 0ul);
  return {};
}

}  // namespace

Failure OpenTun(const TunRequest& request, Tun& tun) noexcept {
  tun = Tun();
  tun.fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (tun.fd < 0) return Failed("open");
  const Failure failure = Configure(request, tun);
  if (failure.error != 0) {
    close(tun.fd);
    tun.fd = -1;
  }
  return failure;
}

Failure AdoptTun(int fd, bool offload, int headerBytes, Tun& tun) noexcept {
  tun = Tun();
  if (fcntl(fd, F_GETFD) < 0) return Failed("fcntl");
  ifreq interface = {};
  Failure failure;
  if (ioctl(fd, TUNGETIFF, &interface) == 0) {
    failure = AdoptInterface(fd, interface, offload, tun);
  } else {
    failure = AdoptSocket(fd, headerBytes, tun);
  }
  if (failure.error == 0) failure = MakeNonBlocking(fd);
  if (failure.error == 0) tun.fd = fd;
  return failure;
}

Failure OpenNamespace(int tun, int& fd) noexcept {
  fd = ioctl(tun, TUNGETDEVNETNS);
  if (fd < 0) return Failed("ioctl");
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  return {};
}

Failure MakeSocketPair(int fds[2]) noexcept {
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) return Failed("socketpair");
  return {};
}

Failure SendDescriptor(int socket, int fd, const void* bytes, size_t length) noexcept {
  iovec part = {const_cast<void*>(bytes), length};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
  ssize_t sent;
  do {
    sent = sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return Failed("sendmsg");
  return {};
}

Failure ReceiveDescriptor(int socket, int& fd, void* bytes, size_t& length) noexcept {
  fd = -1;
  iovec part = {bytes, length};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t received;
  do {
    received = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  if (received < 0) return Failed("recvmsg");
  if (received == 0) return {ECONNRESET, "recvmsg"};
  length = static_cast<size_t>(received);
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
      memcpy(&fd, CMSG_DATA(header), sizeof fd);
    }
  }
  return {};
}

Failure StealDescriptor(int pid, int target, int& fd) noexcept {
  fd = -1;
  const int process = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (process < 0) return Failed("pidfd_open");
  fd = static_cast<int>(syscall(SYS_pidfd_getfd, process, target, 0));
  const Failure failure = fd < 0 ? Failed("pidfd_getfd") : Failure();
  close(process);
  return failure;
}

}  // namespace tunstack
