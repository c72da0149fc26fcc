#include "packet_batch.h"

#include <cerrno>
#include <cstring>
#include <ctime>

#include <sys/uio.h>
#include <unistd.h>

#include "gso.h"

namespace tunstack {
namespace {

/// Reads that fail or yield a packet to drop still take time; so many of them end a round.
constexpr int kMaxReads = 128;
/// Failed reads in a row after which a port is given up: it would wake us forever.
constexpr int kMaxReadErrors = 64;

void Add(const PacketPort& port, int counter, double amount) { port.counters[counter] += amount; }

void CountDrop(const PacketPort& port, int error, double packets) {
  Add(port, kTxDropped, packets);
  Add(port, kErrnoBase + (error > 0 && error < kErrnoCount ? error : 0), packets);
}

uint64_t NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

/// One packet with its virtio header apart, so that it starts where a slot starts.
ssize_t ReadPacket(const PacketPort& port, VirtioHeader& virtio, uint8_t* to) {
  if (port.headerBytes == 0) return read(port.fd, to, kMaxSlotBytes);
  iovec parts[2] = {{&virtio, static_cast<size_t>(port.headerBytes)}, {to, kMaxSlotBytes}};
  return readv(port.fd, parts, 2);
}

/// Bytes of Ethernet header before the packet in a frame; 0 for other ports, and for frames that are only a header.
size_t LinkBytes(const PacketPort& port, const uint8_t* frame, size_t length) {
  constexpr size_t kHeader = 14;
  constexpr size_t kTag = 4;
  if (!port.ethernet || length <= kHeader) return 0;
  const bool tagged = frame[12] == 0x81 && frame[13] == 0x00;
  const size_t bytes = tagged ? kHeader + kTag : kHeader;
  return length > bytes ? bytes : 0;
}

/// Looks at the packet in a frame. The kernel counts from the start of the frame, we from that of the packet.
bool InspectFrame(const PacketPort& port, VirtioHeader virtio, size_t link, uint8_t* frame, Slot& slot) {
  Slot inner = slot;
  inner.length = slot.length - link;
  bool sound = true;
  if (port.headerBytes == 0) {
    inner.checksum = VerifyChecksums(frame + link, inner.length);
  } else {
    if ((virtio.flags & kVirtioNeedsChecksum) != 0) {
      if (virtio.checksumStart < link) return false;
      virtio.checksumStart = static_cast<uint16_t>(virtio.checksumStart - link);
    }
    if (virtio.headerLength >= link) virtio.headerLength = static_cast<uint16_t>(virtio.headerLength - link);
    sound = AcceptVirtio(virtio, frame + link, inner);
  }
  slot.checksum = inner.checksum;
  slot.segmentSize = inner.segmentSize;
  slot.headerBytes = inner.headerBytes;
  return sound;
}

/// Looks at the `size` bytes that were read. False when the metadata contradict the packet.
bool Inspect(const PacketPort& port, const VirtioHeader& virtio, size_t size, uint8_t* packet, Slot& slot) {
  const size_t before = static_cast<size_t>(port.headerBytes);
  if (size <= before) return false;
  slot.length = size - before;
  slot.segmentSize = 0;
  slot.headerBytes = 0;
  const size_t link = LinkBytes(port, packet, slot.length);
  if (link != 0) return InspectFrame(port, virtio, link, packet, slot);
  if (before != 0) return AcceptVirtio(virtio, packet, slot);
  slot.checksum = VerifyChecksums(packet, slot.length);
  return true;
}

/// @returns 0 or the errno
int WritePacket(const PacketPort& port, PacketBatch& batch, int i) {
  Slot slot;
  if (!batch.Get(i, slot)) return EINVAL;
  uint8_t* packet = batch.bytes() + slot.offset;
  VirtioHeader virtio;
  iovec parts[3] = {{&virtio, static_cast<size_t>(port.headerBytes)},
                    {packet, slot.length - slot.textBytes},
                    {const_cast<uint8_t*>(slot.text), slot.textBytes}};
  const bool plain = port.headerBytes == 0;
  const bool whole = slot.textBytes == 0;
  const size_t link = LinkBytes(port, packet, slot.length - slot.textBytes);
  Slot inner = slot;
  inner.length = slot.length - link;
  if (plain) {
    if (slot.segmentSize != 0 && slot.segmentSize + slot.headerBytes < inner.length) return EMSGSIZE;
    if (slot.checksum == ChecksumState::kPartial) {
      if (!CompleteChecksum(packet + link, inner.length, slot.text, slot.textBytes)) return EINVAL;
      // A packet that finds no room comes here again, and must not be completed twice.
      batch.SetChecksum(i, ChecksumState::kValid);
    }
  } else {
    const int refused = MakeVirtio(inner, packet + link, port.offloads, virtio);
    if (refused != 0) return refused;
    if (virtio.flags != 0) virtio.checksumStart = static_cast<uint16_t>(virtio.checksumStart + link);
    if (virtio.gsoType != kVirtioGsoNone) virtio.headerLength = static_cast<uint16_t>(virtio.headerLength + link);
  }
  for (;;) {
    // What has neither header nor text apart is written as the one piece it is.
    const ssize_t size = plain && whole ? write(port.fd, packet, slot.length)
                         : plain        ? writev(port.fd, parts + 1, 2)
                                        : writev(port.fd, parts, whole ? 2 : 3);
    if (size >= 0) return 0;
    if (errno != EINTR) return errno;
  }
}

}  // namespace

int PacketBatch::count() const {
  const int count = words_[kBatchCount];
  return count < 0 ? 0 : count > limit_ ? limit_ : count;
}

void PacketBatch::Clear() {
  tail_ = 0;
  words_[kBatchCount] = 0;
  words_[kBatchError] = 0;
  words_[kBatchTail] = 0;
}

void PacketBatch::Append(const Slot& slot, uint64_t timeNs) {
  const int i = words_[kBatchCount];
  int32_t* words = words_ + kBatchHeaderWords + i * kSlotWords;
  words[kSlotOffset] = static_cast<int32_t>(slot.offset);
  words[kSlotLength] = static_cast<int32_t>(slot.length);
  words[kSlotChecksum] = static_cast<int32_t>(slot.checksum);
  words[kSlotSegmentSize] = static_cast<int32_t>(slot.segmentSize);
  words[kSlotHeaderBytes] = static_cast<int32_t>(slot.headerBytes);
  words[kSlotMark] = 0;
  words[kSlotTimeLow] = static_cast<int32_t>(timeNs & 0xffffffff);
  words[kSlotTimeHigh] = static_cast<int32_t>(timeNs >> 32);
  words[kSlotVerdict] = 0;
  words[kSlotTextBytes] = 0;
  tail_ = (slot.offset + slot.length + kSlotAlign - 1) & ~(kSlotAlign - 1);
  words_[kBatchCount] = i + 1;
  words_[kBatchTail] = static_cast<int32_t>(tail_);
}

bool PacketBatch::Get(int i, Slot& slot) const {
  const int32_t* words = words_ + kBatchHeaderWords + i * kSlotWords;
  const int32_t offset = words[kSlotOffset];
  const int32_t length = words[kSlotLength];
  const int32_t checksum = words[kSlotChecksum];
  const int32_t segmentSize = words[kSlotSegmentSize];
  const int32_t headerBytes = words[kSlotHeaderBytes];
  if (offset < 0 || length <= 0 || segmentSize < 0 || headerBytes < 0) return false;
  slot.offset = static_cast<size_t>(offset);
  slot.length = static_cast<size_t>(length);
  slot.checksum = static_cast<ChecksumState>(checksum);
  slot.segmentSize = static_cast<uint32_t>(segmentSize);
  slot.headerBytes = static_cast<uint32_t>(headerBytes);
  if (slot.length > kMaxSlotBytes) return false;
  if (slot.offset > byteLength_ || slot.length > byteLength_ - slot.offset) return false;
  return GetText(words, slot);
}

bool PacketBatch::GetText(const int32_t* words, Slot& slot) const {
  const int32_t bytes = words[kSlotTextBytes];
  const int32_t at = words[kSlotTextAt];
  const int32_t memory = words[kSlotTextMemory];
  slot.text = nullptr;
  slot.textBytes = 0;
  if (bytes == 0) return true;
  if (bytes < 0 || at < 0 || memory < 0 || memory >= memoryCount_) return false;
  const LentMemory& lent = memories_[memory];
  slot.textBytes = static_cast<size_t>(bytes);
  if (slot.textBytes > slot.length || static_cast<size_t>(at) > lent.length) return false;
  if (slot.textBytes > lent.length - static_cast<size_t>(at)) return false;
  slot.text = lent.bytes + at;
  return true;
}

void PacketBatch::TakeTexts(int first) {
  for (int i = first; i < count(); i++) {
    Slot slot;
    if (!Get(i, slot) || slot.textBytes == 0) continue;
    memcpy(bytes_ + slot.offset + slot.length - slot.textBytes, slot.text, slot.textBytes);
    words_[kBatchHeaderWords + i * kSlotWords + kSlotTextBytes] = 0;
  }
}

bool IsFatal(int error) noexcept {
  switch (error) {
    case EBADF:    // the descriptor was closed behind our back
    case EBADFD:   // a TUN whose interface was deleted
    case ENODEV:
    case ENXIO:
    case EPIPE:    // a socket whose peer is gone
    case ENOTCONN:
    case ECONNRESET:
    case ECONNREFUSED:
    case ENOTSOCK:
      return true;
    default:
      return false;
  }
}

int ReadBatch(const PacketPort& port, PacketBatch& batch) noexcept {
  batch.Clear();
  const uint64_t nowNs = NowNs();
  int outcome = 0;
  int errors = 0;
  double bytes = 0;
  for (int reads = 0; reads < kMaxReads && batch.HasRoom(); reads++) {
    VirtioHeader virtio = {};
    uint8_t* packet = batch.tail();
    const ssize_t size = ReadPacket(port, virtio, packet);
    if (size > 0) {
      Slot slot = {};
      slot.offset = static_cast<size_t>(packet - batch.bytes());
      errors = 0;
      if (Inspect(port, virtio, static_cast<size_t>(size), packet, slot)) {
        batch.Append(slot, nowNs);
        bytes += static_cast<double>(slot.length);
      } else {
        Add(port, kRxMetadata, 1);
      }
      continue;
    }
    // Nothing at all is an empty datagram, or the end of a socket that has one.
    const int error = size < 0 ? errno : port.datagrams ? EBADMSG : ECONNRESET;
    if (error == EINTR) continue;
    outcome = error;
    if (error == EAGAIN || IsFatal(error)) break;
    Add(port, kRxErrors, 1);
    outcome = 0;
    if (++errors == kMaxReadErrors) {
      outcome = error;
      break;
    }
  }
  if (batch.count() > 0) {
    Add(port, kRxBatches, 1);
    Add(port, kRxPackets, batch.count());
    Add(port, kRxBytes, bytes);
  }
  batch.SetError(outcome == EAGAIN ? 0 : outcome);
  return outcome;
}

int WriteBatch(const PacketPort& port, PacketBatch& batch, int& next) noexcept {
  const int count = batch.count();
  if (next == 0 && count > 0) Add(port, kTxBatches, 1);
  int packets = 0;
  double bytes = 0;
  int outcome = 0;
  for (; next < count; next++) {
    const int error = WritePacket(port, batch, next);
    if (error == 0) {
      packets++;
      bytes += batch.length(next);
      continue;
    }
    if (error == EAGAIN || IsFatal(error)) {
      outcome = error;
      break;
    }
    CountDrop(port, error, 1);
  }
  Add(port, kTxPackets, packets);
  Add(port, kTxBytes, bytes);
  if (outcome == EAGAIN) Add(port, kTxBlocked, 1);
  return outcome;
}

void DropRest(const PacketPort& port, const PacketBatch& batch, int next, int error) noexcept {
  const int left = batch.count() - next;
  if (left > 0) CountDrop(port, error, left);
}

}  // namespace tunstack
