/// A NETLINK_ROUTE socket: asks the kernel and collects its answers. The messages themselves are written
/// and read in TypeScript (lib/link/netlink.ts).
#ifndef TUNSTACK_NETLINK_H_
#define TUNSTACK_NETLINK_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tun_linux.h"

namespace tunstack {

/// Opens one in the calling thread's network namespace.
Failure OpenNetlink(int& fd) noexcept;

/// Makes sure that a descriptor somebody handed us is a NETLINK_ROUTE socket.
Failure AdoptNetlink(int fd) noexcept;

/// Sends one request, whose sequence number it sets, and collects the messages that answer it, up to but
/// not including the final acknowledgement.
/// @returns the errno of the kernel's answer, of our own call, or EINTR for a dump that changed meanwhile
Failure ExchangeNetlink(int fd, uint32_t sequence, uint8_t* request, size_t length,
                        std::vector<uint8_t>& answer) noexcept;

}  // namespace tunstack

#endif  // TUNSTACK_NETLINK_H_
