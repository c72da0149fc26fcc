/// The batch both sides know: one arena of bytes and one table of 32-bit words. The numbers here are
/// those of lib/link/packet-batch.ts; the loader compares them.
#ifndef TUNSTACK_PACKET_BATCH_H_
#define TUNSTACK_PACKET_BATCH_H_

#include <cstddef>
#include <cstdint>

namespace tunstack {

constexpr int kBatchCount = 0;
constexpr int kBatchError = 1;
constexpr int kBatchTail = 2;
constexpr int kBatchHeaderWords = 8;

constexpr int kSlotOffset = 0;
constexpr int kSlotLength = 1;
constexpr int kSlotChecksum = 2;
constexpr int kSlotSegmentSize = 3;
constexpr int kSlotHeaderBytes = 4;
constexpr int kSlotMark = 5;
constexpr int kSlotTimeLow = 6;
constexpr int kSlotTimeHigh = 7;
constexpr int kSlotVerdict = 8;
constexpr int kSlotTextAt = 9;
constexpr int kSlotTextBytes = 10;
constexpr int kSlotTextMemory = 11;
constexpr int kSlotWords = 12;
constexpr size_t kSlotAlign = 8;

/// Room a read of unknown size needs, and the most one read takes.
constexpr size_t kMaxSlotBytes = 65600;

/// What is known of a packet's transport checksum (lib/wire/ip-packet.ts).
enum class ChecksumState : int32_t { kUnknown = 0, kValid = 1, kBad = 2, kPartial = 3 };

/// Counters, as places in an array of doubles. The drops by errno follow at kErrnoBase.
enum Counter {
  kRxPackets,
  kRxBytes,
  kRxBatches,
  kRxErrors,
  kRxMetadata,  // dropped: offload metadata that contradicts the packet
  kTxPackets,
  kTxBytes,
  kTxBatches,
  kTxBlocked,  // how often the device was full
  kTxDropped,
  kRxAwake,  // batches found by not going to sleep
  kErrnoBase = 16,
};
constexpr int kErrnoCount = 160;
constexpr int kCounters = kErrnoBase + kErrnoCount;

/// What a slot says of its packet.
struct Slot {
  size_t offset;
  size_t length;
  ChecksumState checksum;
  uint32_t segmentSize;
  uint32_t headerBytes;
  /// The last bytes of the packet, where they lie in lent memory instead of the arena.
  const uint8_t* text;
  size_t textBytes;
};

/// Memory of the application's that the texts of outgoing packets may lie in.
struct LentMemory {
  const uint8_t* bytes;
  size_t length;
};

/// A batch that JavaScript allocated and lent. Its memory is shared with code we do not trust to be
/// right: each word is read once, then checked.
class PacketBatch {
 public:
  PacketBatch() = default;
  PacketBatch(uint8_t* bytes, size_t byteLength, int32_t* words, size_t wordCount)
      : bytes_(bytes),
        byteLength_(byteLength),
        words_(words),
        limit_(static_cast<int>((wordCount - kBatchHeaderWords) / kSlotWords)) {}

  uint8_t* bytes() const { return bytes_; }
  int limit() const { return limit_; }
  int count() const;
  /// Whether a packet of any size can be read.
  bool HasRoom() const { return count() < limit_ && byteLength_ - tail_ >= kMaxSlotBytes; }
  uint8_t* tail() const { return bytes_ + tail_; }

  void Clear();
  void SetError(int error) { words_[kBatchError] = error; }
  /// Makes a slot of what was written at `tail()`.
  void Append(const Slot& slot, uint64_t timeNs);
  /// Reads slot `i`. False when it does not lie within the arena.
  bool Get(int i, Slot& slot) const;
  int32_t length(int i) const { return words_[kBatchHeaderWords + i * kSlotWords + kSlotLength]; }
  /// Texts lie in these memories until others are lent; slots name them by their places.
  void LendTexts(const LentMemory* memories, int count) {
    memories_ = memories;
    memoryCount_ = count;
  }
  /// Copies the texts from slot `first` on to where they belong in the arena, which has room for them.
  void TakeTexts(int first);
  void SetChecksum(int i, ChecksumState state) {
    words_[kBatchHeaderWords + i * kSlotWords + kSlotChecksum] = static_cast<int32_t>(state);
  }

 private:
  bool GetText(const int32_t* words, Slot& slot) const;

  uint8_t* bytes_ = nullptr;
  size_t byteLength_ = 0;
  int32_t* words_ = nullptr;
  int limit_ = 0;
  size_t tail_ = 0;
  const LentMemory* memories_ = nullptr;
  int memoryCount_ = 0;
};

/// A descriptor packets come from and go to.
struct PacketPort {
  int fd = -1;
  /// Bytes of virtio header before each packet: 0, 10 or 12.
  int headerBytes = 0;
  /// TUN_F_* bits that the device accepted.
  unsigned offloads = 0;
  /// Whether it is a datagram socket, on which reading nothing is no end.
  bool datagrams = false;
  /// Whether what it carries are Ethernet frames, whose packets begin behind a header.
  bool ethernet = false;
  /// kCounters doubles.
  double* counters = nullptr;
};

/// Fills `batch` until it or the queue is empty.
/// @returns 0 when there may be more, EAGAIN when there is none, else what ended the port for good
int ReadBatch(const PacketPort& port, PacketBatch& batch) noexcept;

/// Writes the packets from slot `next` on, which it advances. What the port refuses is counted.
/// @returns 0 when all are gone, EAGAIN when the port is full, else what ended the port for good
int WriteBatch(const PacketPort& port, PacketBatch& batch, int& next) noexcept;

/// Counts the packets from slot `next` on as dropped for `error`.
void DropRest(const PacketPort& port, const PacketBatch& batch, int next, int error) noexcept;

/// Whether an errno means that the descriptor will never carry a packet again.
bool IsFatal(int error) noexcept;

}  // namespace tunstack

#endif  // TUNSTACK_PACKET_BATCH_H_
