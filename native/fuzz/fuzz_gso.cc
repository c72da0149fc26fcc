/// Feeds the code that judges packets and virtio headers with true packets, broken in every place, and
/// with noise. Sanitizers watch; each answer is checked for what the rest of the addon relies on.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "gso.h"
#include "packet_batch.h"

using namespace tunstack;

namespace {

using Bytes = std::vector<uint8_t>;

uint32_t state = 1;

uint32_t Random() {
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}

void Require(bool holds, const char* what) {
  if (holds) return;
  fprintf(stderr, "broken: %s\n", what);
  abort();
}

/// Every accepted super-packet must be one that can be taken apart without leaving its bytes.
void CheckSlot(const Slot& slot) {
  if (slot.segmentSize == 0) return;
  Require(slot.checksum == ChecksumState::kPartial, "a super-packet has a partial checksum");
  Require(slot.headerBytes >= 28 && slot.headerBytes < slot.length, "headers lie within the packet");
  Require(slot.length - slot.headerBytes > slot.segmentSize, "there is more than one segment");
}

/// All entry points, on a heap copy of exactly the packet's size, so that a byte too many is seen.
void Judge(const Bytes& packet, const VirtioHeader& virtio) {
  const size_t length = packet.size();
  std::unique_ptr<uint8_t[]> copy(new uint8_t[length]);
  memcpy(copy.get(), packet.data(), length);
  Headers headers;
  if (FindHeaders(copy.get(), length, headers)) {
    Require(headers.transport <= headers.length && headers.length <= length, "header places are ordered");
  }
  VerifyChecksums(copy.get(), length);
  Slot slot = {};
  slot.length = length;
  if (length > 0 && AcceptVirtio(virtio, copy.get(), slot)) CheckSlot(slot);
  VirtioHeader made;
  slot.checksum = static_cast<ChecksumState>(Random() & 3);
  slot.segmentSize = Random() % 3 == 0 ? Random() : Random() % 2000;
  MakeVirtio(slot, copy.get(), Random() & 0x6f, made);
  if (CompleteChecksum(copy.get(), length)) {
    const ChecksumState after = VerifyChecksums(copy.get(), length);
    (void)after;
  }
}

void Put16(Bytes& packet, size_t at, size_t value) {
  packet[at] = static_cast<uint8_t>(value >> 8);
  packet[at + 1] = static_cast<uint8_t>(value);
}

/// A packet whose lengths are right; `extensions` destination options headers in IPv6.
Bytes Make(int version, uint8_t protocol, size_t payload, int extensions) {
  const size_t transport = version == 4 ? 20 : 40 + 8 * static_cast<size_t>(extensions);
  const size_t header = protocol == kProtocolTcp ? 20 : 8;
  Bytes packet(transport + header + payload, 0x5a);
  memset(packet.data(), 0, transport + header);
  packet[0] = static_cast<uint8_t>(version == 4 ? 0x45 : 0x60);
  if (version == 4) {
    Put16(packet, 2, packet.size());
    packet[9] = protocol;
  } else {
    Put16(packet, 4, packet.size() - 40);
    packet[6] = extensions > 0 ? 60 : protocol;
    for (int i = 0; i < extensions; i++) {
      packet[40 + 8 * static_cast<size_t>(i)] = i + 1 < extensions ? 60 : protocol;
    }
  }
  if (protocol == kProtocolTcp) packet[transport + 12] = 0x50;
  if (protocol == kProtocolUdp) Put16(packet, transport + 4, 8 + payload);
  return packet;
}

VirtioHeader Honest(const Bytes& packet, int version, uint8_t protocol, int extensions) {
  VirtioHeader virtio = {};
  const size_t transport = version == 4 ? 20 : 40 + 8 * static_cast<size_t>(extensions);
  virtio.flags = kVirtioNeedsChecksum;
  virtio.gsoType = protocol == kProtocolUdp ? kVirtioGsoUdp : version == 4 ? kVirtioGsoTcp4 : kVirtioGsoTcp6;
  virtio.headerLength = static_cast<uint16_t>(transport + (protocol == kProtocolTcp ? 20 : 8));
  virtio.gsoSize = 100;
  virtio.checksumStart = static_cast<uint16_t>(transport);
  virtio.checksumOffset = protocol == kProtocolTcp ? 16 : 6;
  if (packet.size() < virtio.headerLength) virtio.gsoType = kVirtioGsoNone;
  return virtio;
}

/// What an honest kernel hands over must be accepted, or the rest of this program proves nothing.
void CheckAccepted(const Bytes& packet, const VirtioHeader& virtio) {
  Bytes copy = packet;
  Slot slot = {};
  slot.length = copy.size();
  Require(AcceptVirtio(virtio, copy.data(), slot), "an honest super-packet is accepted");
  Require(slot.segmentSize == 100 && slot.headerBytes == virtio.headerLength, "and measured");
}

/// Each byte of the first 64 takes telling values, and the end is cut at every place.
void BreakEverywhere(const Bytes& honest, const VirtioHeader& virtio) {
  constexpr uint8_t kValues[] = {0, 1, 4, 0x0f, 0x45, 0x4f, 0x60, 0x7f, 0x80, 0xff};
  for (size_t at = 0; at < honest.size() && at < 80; at++) {
    for (const uint8_t value : kValues) {
      Bytes broken = honest;
      broken[at] = value;
      Judge(broken, virtio);
    }
  }
  for (size_t length = 1; length < honest.size(); length++) {
    Judge(Bytes(honest.begin(), honest.begin() + static_cast<long>(length)), virtio);
  }
}

void BreakVirtio(const Bytes& packet, const VirtioHeader& honest) {
  constexpr uint16_t kValues[] = {0, 1, 6, 16, 19, 20, 21, 40, 54, 0x7fff, 0x8000, 0xfffe, 0xffff};
  for (const uint16_t value : kValues) {
    for (int field = 0; field < 4; field++) {
      VirtioHeader virtio = honest;
      if (field == 0) virtio.headerLength = value;
      if (field == 1) virtio.gsoSize = value;
      if (field == 2) virtio.checksumStart = value;
      if (field == 3) virtio.checksumOffset = value;
      Judge(packet, virtio);
    }
  }
  for (int type = 0; type < 256; type++) {
    for (int flags = 0; flags < 8; flags++) {
      VirtioHeader virtio = honest;
      virtio.gsoType = static_cast<uint8_t>(type);
      virtio.flags = static_cast<uint8_t>(flags);
      Judge(packet, virtio);
    }
  }
}

void Noise(int rounds) {
  for (int round = 0; round < rounds; round++) {
    Bytes packet(1 + Random() % 200);
    for (uint8_t& byte : packet) byte = static_cast<uint8_t>(Random());
    packet[0] = static_cast<uint8_t>((Random() & 1 ? 0x40 : 0x60) | (packet[0] & 15));
    VirtioHeader virtio;
    uint8_t noise[sizeof virtio];
    for (uint8_t& byte : noise) byte = static_cast<uint8_t>(Random());
    noise[0] &= 3;
    if (Random() & 1) noise[1] &= 5;
    if (Random() & 1) noise[7] = noise[9] = 0;
    memcpy(&virtio, noise, sizeof virtio);
    Judge(packet, virtio);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? atoi(argv[1]) : 200000;
  for (const int version : {4, 6}) {
    for (const uint8_t protocol : {kProtocolTcp, kProtocolUdp}) {
      for (const int extensions : {0, 1, 3}) {
        if (version == 4 && extensions > 0) continue;
        const Bytes packet = Make(version, protocol, 250, extensions);
        const VirtioHeader virtio = Honest(packet, version, protocol, extensions);
        CheckAccepted(packet, virtio);
        BreakEverywhere(packet, virtio);
        BreakVirtio(packet, virtio);
      }
    }
  }
  Noise(rounds);
  puts("sound");
  return 0;
}
