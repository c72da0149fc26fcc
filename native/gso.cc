#include "gso.h"

#include <cerrno>
#include <cstring>

#include "checksum.h"

namespace tunstack {
namespace {

constexpr uint8_t kHopByHop = 0;
constexpr uint8_t kRouting = 43;
constexpr uint8_t kFragment = 44;
constexpr uint8_t kAuthentication = 51;
constexpr uint8_t kDestinationOptions = 60;
constexpr uint8_t kMobility = 135;
/// More extension headers than any honest packet has.
constexpr int kMaxExtensions = 8;

constexpr uint8_t kTcpFlagCwr = 0x80;

size_t Read16(const uint8_t* at) { return static_cast<size_t>(at[0]) << 8 | at[1]; }

void Write16(uint8_t* at, uint16_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}

bool FindHeaders4(const uint8_t* packet, size_t length, Headers& headers) {
  if (length < 20) return false;
  const size_t ipBytes = static_cast<size_t>(packet[0] & 15) * 4;
  const size_t total = Read16(packet + 2);
  if (ipBytes < 20 || total < ipBytes || total > length) return false;
  headers.version = 4;
  headers.protocol = packet[9];
  headers.fragment = (Read16(packet + 6) & 0x3fff) != 0;
  headers.extended = false;
  headers.transport = ipBytes;
  headers.length = total;
  return true;
}

/// Steps over the extension header at `at`, of type `next`. False when it exceeds the packet.
bool SkipExtension(const uint8_t* packet, Headers& headers, uint8_t& next, size_t& at) {
  if (at + 8 > headers.length) return false;
  size_t bytes = (static_cast<size_t>(packet[at + 1]) + 1) * 8;
  if (next == kAuthentication) bytes = (static_cast<size_t>(packet[at + 1]) + 2) * 4;
  if (next == kFragment) {
    bytes = 8;
    headers.fragment = true;
  }
  if (bytes < 8 || at + bytes > headers.length) return false;
  next = packet[at];
  at += bytes;
  return true;
}

bool FindHeaders6(const uint8_t* packet, size_t length, Headers& headers) {
  if (length < 40) return false;
  headers.version = 6;
  headers.length = 40 + Read16(packet + 4);
  if (headers.length > length) return false;
  headers.fragment = false;
  uint8_t next = packet[6];
  size_t at = 40;
  for (int i = 0; i < kMaxExtensions; i++) {
    const bool extension = next == kHopByHop || next == kRouting || next == kFragment ||
                           next == kAuthentication || next == kDestinationOptions || next == kMobility;
    // What follows the header of a later fragment is payload, whatever it looks like.
    if (!extension || headers.fragment) break;
    if (!SkipExtension(packet, headers, next, at)) return false;
  }
  headers.extended = at != 40;
  headers.protocol = next;
  headers.transport = at;
  return true;
}

/// Sum of the pseudo-header of a message of `bytes` bytes, in network order (RFC 9293 §3.1, RFC 8200 §8.1).
uint32_t PseudoSum(const uint8_t* packet, const Headers& headers, size_t bytes) {
  const size_t from = headers.version == 4 ? 12 : 8;
  const size_t count = headers.version == 4 ? 8 : 32;
  uint32_t sum = headers.protocol;
  for (size_t i = from; i < from + count; i += 2) sum += static_cast<uint32_t>(Read16(packet + i));
  return sum + static_cast<uint32_t>(bytes >> 16) + static_cast<uint32_t>(bytes & 0xffff);
}

/// Bytes a transport checksum covers; 0 when the headers do not say so plainly.
size_t CoveredBytes(const uint8_t* packet, const Headers& headers) {
  const size_t payload = headers.length - headers.transport;
  const uint8_t* transport = packet + headers.transport;
  switch (headers.protocol) {
    case kProtocolTcp:
      return payload < 20 ? 0 : payload;
    case kProtocolUdp: {
      if (payload < 8) return 0;
      const size_t claimed = Read16(transport + 4);
      return claimed < 8 || claimed > payload ? 0 : claimed;
    }
    case kProtocolIcmp:
      return headers.version == 4 && payload >= 4 ? payload : 0;
    case kProtocolIcmp6:
      return headers.version == 6 && payload >= 4 ? payload : 0;
    default:
      return 0;
  }
}

/// Bytes of IP and transport header; 0 when they exceed the packet.
size_t HeaderBytes(const uint8_t* packet, const Headers& headers) {
  const size_t at = headers.transport;
  if (headers.protocol == kProtocolUdp) return at + 8 > headers.length ? 0 : at + 8;
  if (headers.protocol != kProtocolTcp || at + 20 > headers.length) return 0;
  const size_t tcpBytes = static_cast<size_t>(packet[at + 12] >> 4) * 4;
  return tcpBytes < 20 || at + tcpBytes > headers.length ? 0 : at + tcpBytes;
}

/// The GSO type a packet of these headers must have; none when it cannot be a super-packet.
uint8_t GsoTypeOf(const Headers& headers) {
  if (headers.protocol == kProtocolUdp) return kVirtioGsoUdp;
  if (headers.protocol != kProtocolTcp) return kVirtioGsoNone;
  return headers.version == 4 ? kVirtioGsoTcp4 : kVirtioGsoTcp6;
}

/// Whether the place the virtio header names is where the packet's protocol has its checksum.
bool NamesOwnChecksum(const VirtioHeader& virtio, const Headers& headers) {
  return !headers.fragment && virtio.checksumStart == headers.transport &&
         virtio.checksumOffset == ChecksumOffset(headers.protocol);
}

/// Completes a checksum where the virtio header says, whatever the protocol.
void CompleteAsTold(const VirtioHeader& virtio, uint8_t* packet, size_t length) {
  const size_t start = virtio.checksumStart;
  const uint16_t sum = ~Checksum(ChooseSum(), packet + start, length - start, 0);
  Write16(packet + start + virtio.checksumOffset, sum == 0 ? 0xffff : sum);
}

bool AcceptSuperPacket(const VirtioHeader& virtio, const uint8_t* packet, Slot& slot) {
  Headers headers;
  if ((virtio.flags & kVirtioNeedsChecksum) == 0 || virtio.gsoSize == 0) return false;
  if (!FindHeaders(packet, slot.length, headers) || headers.length != slot.length) return false;
  const uint8_t type = GsoTypeOf(headers);
  const uint8_t said = type == kVirtioGsoUdp ? virtio.gsoType : virtio.gsoType & ~kVirtioGsoEcn;
  if (said != type || !NamesOwnChecksum(virtio, headers)) return false;
  const size_t headerBytes = HeaderBytes(packet, headers);
  if (headerBytes == 0 || headerBytes >= slot.length || virtio.headerLength > slot.length) return false;
  slot.checksum = ChecksumState::kPartial;
  if (slot.length - headerBytes > virtio.gsoSize) {
    slot.segmentSize = virtio.gsoSize;
    slot.headerBytes = static_cast<uint32_t>(headerBytes);
  }
  return true;
}

/// Whether the device takes super-packets of this kind.
bool Accepts(unsigned offloads, const Headers& headers) {
  const bool udp = headers.protocol == kProtocolUdp;
  const unsigned wanted = headers.version == 4 ? (udp ? kOffloadUso4 : kOffloadTso4)
                                               : (udp ? kOffloadUso6 : kOffloadTso6);
  return (offloads & wanted) != 0;
}

}  // namespace

bool FindHeaders(const uint8_t* packet, size_t length, Headers& headers) noexcept {
  if (length == 0) return false;
  const int version = packet[0] >> 4;
  if (version == 4) return FindHeaders4(packet, length, headers);
  return version == 6 && FindHeaders6(packet, length, headers);
}

int ChecksumOffset(uint8_t protocol) noexcept {
  switch (protocol) {
    case kProtocolTcp:
      return 16;
    case kProtocolUdp:
      return 6;
    case kProtocolIcmp:
    case kProtocolIcmp6:
      return 2;
    default:
      return -1;
  }
}

ChecksumState VerifyChecksums(const uint8_t* packet, size_t length) noexcept {
  Headers headers;
  if (!FindHeaders(packet, length, headers)) return ChecksumState::kUnknown;
  const SumFunction sum = ChooseSum();
  if (headers.version == 4 && Fold(sum(packet, headers.transport)) != 0xffff) return ChecksumState::kBad;
  if (headers.fragment || headers.extended) return ChecksumState::kUnknown;
  const size_t covered = CoveredBytes(packet, headers);
  if (covered == 0) return ChecksumState::kUnknown;
  const uint8_t* transport = packet + headers.transport;
  if (headers.protocol == kProtocolUdp && Read16(transport + 6) == 0) {
    return headers.version == 4 ? ChecksumState::kValid : ChecksumState::kUnknown;
  }
  const uint32_t pseudo = headers.protocol == kProtocolIcmp ? 0 : PseudoSum(packet, headers, covered);
  return Checksum(sum, transport, covered, pseudo) == 0xffff ? ChecksumState::kValid : ChecksumState::kBad;
}

bool CompleteChecksum(uint8_t* packet, size_t length, const uint8_t* text, size_t textBytes) noexcept {
  Headers headers;
  if (!FindHeaders(packet, length, headers) || headers.fragment) return false;
  const int offset = ChecksumOffset(headers.protocol);
  const size_t payload = headers.length - headers.transport;
  if (offset < 0 || static_cast<size_t>(offset) + 2 > payload) return false;
  uint8_t* transport = packet + headers.transport;
  uint16_t covered = 0;
  if (textBytes == 0) {
    covered = Checksum(ChooseSum(), transport, payload, 0);
  } else {
    // Both pieces begin with the high byte of a word, as no transport header is of odd length.
    if (headers.length != length || textBytes > payload || (payload - textBytes) % 2 != 0) return false;
    if (static_cast<size_t>(offset) + 2 > payload - textBytes) return false;
    covered = Checksum(ChooseSum(), transport, payload - textBytes, 0);
    covered = Checksum(ChooseSum(), text, textBytes, covered);
  }
  const uint16_t sum = ~covered;
  // A UDP checksum of zero would mean none (RFC 768).
  Write16(transport + offset, sum == 0 && headers.protocol == kProtocolUdp ? 0xffff : sum);
  return true;
}

bool AcceptVirtio(const VirtioHeader& virtio, uint8_t* packet, Slot& slot) noexcept {
  slot.checksum = ChecksumState::kUnknown;
  slot.segmentSize = 0;
  slot.headerBytes = 0;
  if ((virtio.flags & ~(kVirtioNeedsChecksum | kVirtioDataValid)) != 0) return false;
  const bool needsChecksum = (virtio.flags & kVirtioNeedsChecksum) != 0;
  const size_t checksumEnd = static_cast<size_t>(virtio.checksumStart) + virtio.checksumOffset + 2;
  if (needsChecksum && checksumEnd > slot.length) return false;
  if (virtio.gsoType != kVirtioGsoNone) return AcceptSuperPacket(virtio, packet, slot);
  Headers headers;
  if (needsChecksum) {
    if (FindHeaders(packet, slot.length, headers) && NamesOwnChecksum(virtio, headers)) {
      slot.checksum = ChecksumState::kPartial;
    } else {
      CompleteAsTold(virtio, packet, slot.length);
    }
  } else if ((virtio.flags & kVirtioDataValid) != 0) {
    slot.checksum = ChecksumState::kValid;
  } else {
    slot.checksum = VerifyChecksums(packet, slot.length);
  }
  return true;
}

int MakeVirtio(const Slot& slot, const uint8_t* packet, unsigned offloads, VirtioHeader& virtio) noexcept {
  memset(&virtio, 0, sizeof virtio);
  if (slot.checksum != ChecksumState::kPartial) return slot.segmentSize == 0 ? 0 : EINVAL;
  Headers headers;
  if (!FindHeaders(packet, slot.length, headers) || headers.fragment) return EINVAL;
  const int offset = ChecksumOffset(headers.protocol);
  if (offset < 0 || headers.transport + static_cast<size_t>(offset) + 2 > slot.length) return EINVAL;
  virtio.flags = kVirtioNeedsChecksum;
  virtio.checksumStart = static_cast<uint16_t>(headers.transport);
  virtio.checksumOffset = static_cast<uint16_t>(offset);
  if (slot.segmentSize == 0) return 0;
  const size_t headerBytes = HeaderBytes(packet, headers);
  if (headerBytes == 0 || slot.segmentSize > 0xffff) return EINVAL;
  if (slot.length - headerBytes <= slot.segmentSize) return 0;
  const bool ecn = headers.protocol == kProtocolTcp && (packet[headers.transport + 13] & kTcpFlagCwr) != 0;
  if (!Accepts(offloads, headers)) return EINVAL;
  virtio.gsoType = static_cast<uint8_t>(GsoTypeOf(headers) | (ecn ? kVirtioGsoEcn : 0));
  virtio.headerLength = static_cast<uint16_t>(headerBytes);
  virtio.gsoSize = static_cast<uint16_t>(slot.segmentSize);
  return 0;
}

}  // namespace tunstack
