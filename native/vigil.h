/// How long to look for more packets before going to sleep.
#ifndef TUNSTACK_VIGIL_H_
#define TUNSTACK_VIGIL_H_

#include <algorithm>
#include <cstdint>

namespace tunstack {

/// Falling asleep and being woken takes 5 to 50 µs, on a virtual machine above all, and a peer that answers
/// us is often sooner back than that. So a sleep that was cut short makes us stay awake for longer the next
/// time, until it is long enough to meet the packets; one that lasted makes us sleep at once. The rule is that
/// of KVM's halt polling, but for one thing: where even the longest vigil is in vain and packets come right
/// after it, the peer needs our processor, and is left it for a while. Times in ns of one clock.
class Vigil {
 public:
  /// Never watches for longer than `mostNs`; 0 never watches.
  void Limit(uint64_t mostNs) { mostNs_ = mostNs; }

  /// Packets have woken us. @returns whether a vigil begins once they are done with
  bool Woken(uint64_t nowNs) {
    if (mostNs_ == 0) return false;
    if (pausedWakes_ > 0) {
      pausedWakes_--;
      return false;
    }
    const uint64_t awayNs = restedNs_ == 0 ? 2 * mostNs_ : nowNs - restedNs_;
    if (awayNs <= spanNs_) {
      // Met while awake: as long as it has to be.
    } else if (awayNs < mostNs_) {
      spanNs_ = std::min(std::max(2 * spanNs_, kLeastNs), mostNs_);
    } else if (awayNs >= 2 * mostNs_) {
      spanNs_ = spanNs_ / 2 < kLeastNs ? 0 : spanNs_ / 2;
    } else if (spanNs_ == mostNs_) {
      spanNs_ = 0;
      pausedWakes_ = kPause;
    }
    return spanNs_ > 0;
  }

  /// What came is done with: a vigil, or a sleep, begins here.
  void Rested(uint64_t nowNs) { restedNs_ = nowNs; }

  /// Nothing has come. @returns whether it is time to sleep
  bool IsOver(uint64_t nowNs) const { return nowNs - restedNs_ >= spanNs_; }

 private:
  /// The shortest vigil that can find anything.
  static constexpr uint64_t kLeastNs = 10'000;
  /// Wakes without a vigil after the longest was in vain.
  static constexpr uint32_t kPause = 64;

  uint64_t mostNs_ = 0;
  uint64_t spanNs_ = 0;
  /// When the last packets were done with; 0 before the first.
  uint64_t restedNs_ = 0;
  uint32_t pausedWakes_ = 0;
};

}  // namespace tunstack

#endif  // TUNSTACK_VIGIL_H_
