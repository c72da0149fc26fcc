/// Opening TUN devices, adopting descriptors, and handing descriptors from process to process.
#ifndef TUNSTACK_TUN_LINUX_H_
#define TUNSTACK_TUN_LINUX_H_

#include <cstddef>
#include <cstdint>

namespace tunstack {

/// IFNAMSIZ.
constexpr size_t kNameBytes = 16;

struct TunRequest {
  /// Empty: the kernel chooses. May hold `%d` as the kernel understands it.
  char name[kNameBytes] = "";
  bool offload = true;
  bool multiQueue = false;
  bool persist = false;
  /// A TAP: Ethernet frames in place of IP packets.
  bool tap = false;
};

/// An outcome: a failed system call, or none.
struct Failure {
  int error = 0;
  const char* syscall = "";
};

/// An open port, whoever opened it.
struct Tun {
  int fd = -1;
  char name[kNameBytes] = "";
  /// Bytes of virtio header before each packet; 0 without offloads.
  int headerBytes = 0;
  /// TUN_F_* bits.
  unsigned offloads = 0;
  bool multiQueue = false;
  bool persist = false;
  /// Whether it is a TUN; else a socket that carries packets.
  bool isTun = true;
  bool datagrams = false;
  /// Whether what it carries are Ethernet frames.
  bool ethernet = false;
};

/// Opens a TUN in the calling thread's network namespace.
Failure OpenTun(const TunRequest& request, Tun& tun) noexcept;

/// Looks at an open descriptor: a TUN, or a socket that keeps packets apart. Takes it over on success.
/// @param offload whether to offer offloads if packets carry a virtio header
/// @param headerBytes of virtio header, for a socket; a TUN is asked
Failure AdoptTun(int fd, bool offload, int headerBytes, Tun& tun) noexcept;

/// Opens the network namespace a TUN is in (Linux 5.2; needs CAP_NET_ADMIN there).
Failure OpenNamespace(int tun, int& fd) noexcept;

/// A pair of connected sockets for `SendDescriptor`.
Failure MakeSocketPair(int fds[2]) noexcept;

/// Sends a descriptor and `length` bytes, at least 1, over a UNIX socket.
Failure SendDescriptor(int socket, int fd, const void* bytes, size_t length) noexcept;

/// Receives what `SendDescriptor` sent. `fd` is -1 when only bytes came; `length` is the room, then the
/// bytes.
Failure ReceiveDescriptor(int socket, int& fd, void* bytes, size_t& length) noexcept;

/// Copies descriptor `target` of process `pid` into this one (Linux 5.6; needs the right to trace it).
Failure StealDescriptor(int pid, int target, int& fd) noexcept;

}  // namespace tunstack

#endif  // TUNSTACK_TUN_LINUX_H_
