/// Internet checksums (RFC 1071), in SIMD where the processor has it. All variants give the same sums.
#ifndef TUNSTACK_CHECKSUM_H_
#define TUNSTACK_CHECKSUM_H_

#include <cstddef>
#include <cstdint>

namespace tunstack {

/// Sums the 16-bit words of `bytes` in the processor's byte order, unfolded; an odd last byte counts as
/// followed by a zero.
using SumFunction = uint64_t (*)(const uint8_t* bytes, size_t length);

struct SumVariant {
  const char* name;
  SumFunction sum;
};

/// The variants this processor runs, slowest first; ends at a null name.
const SumVariant* SumVariants() noexcept;

/// The fastest of them.
SumFunction ChooseSum() noexcept;

/// Folds a sum to 16 bits, 0 .. 0xffff; 0 only if all that was summed is 0.
uint16_t Fold(uint64_t sum) noexcept;

/// The folded sum of `bytes` in network order plus `initial`, a sum in network order.
uint16_t Checksum(SumFunction sum, const uint8_t* bytes, size_t length, uint32_t initial) noexcept;

}  // namespace tunstack

#endif  // TUNSTACK_CHECKSUM_H_
