#include "checksum.h"

#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace tunstack {
namespace {

// A ones' complement sum does not care how wide its words are as long as carries come back in the end
// (RFC 1071 §2 (C)): everything here sums 32-bit words into 64 bits, which no length overflows.

uint64_t Load64(const uint8_t* bytes) {
  uint64_t word;
  memcpy(&word, bytes, sizeof word);
  return word;
}

uint64_t SumPlain(const uint8_t* bytes, size_t length) {
  uint64_t even = 0;
  uint64_t odd = 0;
  while (length >= 8) {
    const uint64_t word = Load64(bytes);
    even += word & 0xffffffff;
    odd += word >> 32;
    bytes += 8;
    length -= 8;
  }
  uint64_t last = 0;
  if (length > 0) memcpy(&last, bytes, length);
  return even + odd + (last & 0xffffffff) + (last >> 32);
}

#if defined(__x86_64__)

uint64_t SumSse2(const uint8_t* bytes, size_t length) {
  const __m128i mask = _mm_set1_epi64x(0xffffffff);
  __m128i even = _mm_setzero_si128();
  __m128i odd = _mm_setzero_si128();
  while (length >= 32) {
    const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
    const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + 16));
    even = _mm_add_epi64(even, _mm_add_epi64(_mm_and_si128(a, mask), _mm_and_si128(b, mask)));
    odd = _mm_add_epi64(odd, _mm_add_epi64(_mm_srli_epi64(a, 32), _mm_srli_epi64(b, 32)));
    bytes += 32;
    length -= 32;
  }
  uint64_t lanes[2];
  _mm_storeu_si128(reinterpret_cast<__m128i*>(lanes), _mm_add_epi64(even, odd));
  return lanes[0] + lanes[1] + SumPlain(bytes, length);
}

__attribute__((target("avx2"))) uint64_t SumAvx2(const uint8_t* bytes, size_t length) {
  const __m256i mask = _mm256_set1_epi64x(0xffffffff);
  __m256i even = _mm256_setzero_si256();
  __m256i odd = _mm256_setzero_si256();
  while (length >= 64) {
    const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes));
    const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes + 32));
    even = _mm256_add_epi64(even, _mm256_add_epi64(_mm256_and_si256(a, mask), _mm256_and_si256(b, mask)));
    odd = _mm256_add_epi64(odd, _mm256_add_epi64(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32)));
    bytes += 64;
    length -= 64;
  }
  uint64_t lanes[4];
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes), _mm256_add_epi64(even, odd));
  return lanes[0] + lanes[1] + lanes[2] + lanes[3] + SumPlain(bytes, length);
}

#elif defined(__aarch64__)

uint64_t SumNeon(const uint8_t* bytes, size_t length) {
  uint64x2_t first = vdupq_n_u64(0);
  uint64x2_t second = vdupq_n_u64(0);
  while (length >= 32) {
    first = vpadalq_u32(first, vreinterpretq_u32_u8(vld1q_u8(bytes)));
    second = vpadalq_u32(second, vreinterpretq_u32_u8(vld1q_u8(bytes + 16)));
    bytes += 32;
    length -= 32;
  }
  return vaddvq_u64(vaddq_u64(first, second)) + SumPlain(bytes, length);
}

#endif

}  // namespace

const SumVariant* SumVariants() noexcept {
#if defined(__x86_64__)
  static const SumVariant kWithAvx2[] = {
      {"plain", SumPlain}, {"sse2", SumSse2}, {"avx2", SumAvx2}, {nullptr, nullptr}};
  static const SumVariant kWithSse2[] = {{"plain", SumPlain}, {"sse2", SumSse2}, {nullptr, nullptr}};
  return __builtin_cpu_supports("avx2") ? kWithAvx2 : kWithSse2;
#elif defined(__aarch64__)
  static const SumVariant kVariants[] = {{"plain", SumPlain}, {"neon", SumNeon}, {nullptr, nullptr}};
  return kVariants;
#else
  static const SumVariant kVariants[] = {{"plain", SumPlain}, {nullptr, nullptr}};
  return kVariants;
#endif
}

SumFunction ChooseSum() noexcept {
  static const SumFunction chosen = [] {
    const SumVariant* variant = SumVariants();
    while (variant[1].name != nullptr) variant++;
    return variant->sum;
  }();
  return chosen;
}

uint16_t Fold(uint64_t sum) noexcept {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>((sum & 0xffff) + (sum >> 16));
}

uint16_t Checksum(SumFunction sum, const uint8_t* bytes, size_t length, uint32_t initial) noexcept {
  uint16_t folded = Fold(sum(bytes, length));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  folded = __builtin_bswap16(folded);
#endif
  return Fold(static_cast<uint64_t>(folded) + initial);
}

}  // namespace tunstack
