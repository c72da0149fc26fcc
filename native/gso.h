/// What a packet's own headers say, and what a virtio header says of it: the two are checked against
/// each other here, in both directions. Plain functions on bytes.
#ifndef TUNSTACK_GSO_H_
#define TUNSTACK_GSO_H_

#include <cstddef>
#include <cstdint>

#include "packet_batch.h"

namespace tunstack {

/// struct virtio_net_hdr_v1. Debian 12's linux/virtio_net.h is not valid C++.
struct VirtioHeader {
  uint8_t flags;
  uint8_t gsoType;
  uint16_t headerLength;
  uint16_t gsoSize;
  uint16_t checksumStart;
  uint16_t checksumOffset;
  uint16_t bufferCount;
};
static_assert(sizeof(VirtioHeader) == 12, "as on the wire");

constexpr uint8_t kVirtioNeedsChecksum = 1;
constexpr uint8_t kVirtioDataValid = 2;
constexpr uint8_t kVirtioGsoNone = 0;
constexpr uint8_t kVirtioGsoTcp4 = 1;
constexpr uint8_t kVirtioGsoTcp6 = 4;
constexpr uint8_t kVirtioGsoUdp = 5;  // GSO_UDP_L4
constexpr uint8_t kVirtioGsoEcn = 0x80;

/// TUN_F_*; USO came with Linux 6.2 and is not in Debian 12's header.
constexpr unsigned kOffloadChecksum = 0x01;
constexpr unsigned kOffloadTso4 = 0x02;
constexpr unsigned kOffloadTso6 = 0x04;
constexpr unsigned kOffloadTsoEcn = 0x08;
constexpr unsigned kOffloadUso4 = 0x20;
constexpr unsigned kOffloadUso6 = 0x40;

constexpr uint8_t kProtocolIcmp = 1;
constexpr uint8_t kProtocolTcp = 6;
constexpr uint8_t kProtocolUdp = 17;
constexpr uint8_t kProtocolIcmp6 = 58;

/// Where things are in a packet.
struct Headers {
  int version;
  uint8_t protocol;
  /// Whether it is a fragment, the first one included.
  bool fragment;
  /// Whether IPv6 extension headers stand before the transport header.
  bool extended;
  /// First byte of the transport header.
  size_t transport;
  /// Bytes of the packet by its own length field; at most what there is.
  size_t length;
};

/// Finds the headers. False when a length contradicts another or the bytes there are.
bool FindHeaders(const uint8_t* packet, size_t length, Headers& headers) noexcept;

/// Place of the checksum within the transport header; -1 when the protocol has none we know.
int ChecksumOffset(uint8_t protocol) noexcept;

/// Verifies IPv4 header and transport checksum. Unknown for fragments, extension headers, protocols
/// without a checksum we know, and UDP over IPv6 without one.
ChecksumState VerifyChecksums(const uint8_t* packet, size_t length) noexcept;

/// Completes a transport checksum that holds the sum of the pseudo-header. False when there is none.
/// The last `textBytes` of the `length` bytes may lie elsewhere, at `text`.
bool CompleteChecksum(uint8_t* packet, size_t length, const uint8_t* text = nullptr,
                      size_t textBytes = 0) noexcept;

/// Fills the slot's metadata from the virtio header of a received packet.
/// False when it contradicts the packet.
bool AcceptVirtio(const VirtioHeader& virtio, uint8_t* packet, Slot& slot) noexcept;

/// Makes the virtio header for a packet to send.
/// @returns 0, or the errno to drop it for
int MakeVirtio(const Slot& slot, const uint8_t* packet, unsigned offloads, VirtioHeader& virtio) noexcept;

}  // namespace tunstack

#endif  // TUNSTACK_GSO_H_
