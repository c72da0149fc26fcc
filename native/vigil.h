/// How long to look for more packets before going to sleep.
#ifndef TUNSTACK_VIGIL_H_
#define TUNSTACK_VIGIL_H_

#include <algorithm>
#include <cstdint>

namespace tunstack {

/// Falling asleep and being woken takes 5 to 50 µs, on a virtual machine above all, and a peer that answers
/// us is often sooner back than that. So a sleep that was cut short makes us stay awake for longer the next
/// time, and a vigil in vain for less: traffic that comes seldom, or a peer that needs our processor, costs
/// a few vain vigils and then none. The rule is that of KVM's halt polling. Times in ns of one clock.
class Vigil {
 public:
  /// Never watches for longer than `mostNs`; 0 never watches.
  void Limit(uint64_t mostNs) { mostNs_ = mostNs; }

  /// Packets have woken us. @returns whether a vigil begins once they are done with
  bool Woken(uint64_t nowNs) {
    const bool wasShort = restedNs_ != 0 && nowNs - restedNs_ < mostNs_;
    if (wasShort) spanNs_ = std::min(std::max(2 * spanNs_, kLeastNs), mostNs_);
    return spanNs_ > 0;
  }

  /// What came is done with: a vigil, or a sleep, begins here.
  void Rested(uint64_t nowNs) { restedNs_ = nowNs; }

  /// Nothing has come. @returns whether it is time to sleep
  bool IsOver(uint64_t nowNs) {
    if (nowNs - restedNs_ < spanNs_) return false;
    spanNs_ = spanNs_ / 2 < kLeastNs ? 0 : spanNs_ / 2;
    return true;
  }

 private:
  /// The shortest vigil that can find anything.
  static constexpr uint64_t kLeastNs = 10'000;

  uint64_t mostNs_ = 0;
  uint64_t spanNs_ = 0;
  /// When the last packets were done with; 0 before the first.
  uint64_t restedNs_ = 0;
};

}  // namespace tunstack

#endif  // TUNSTACK_VIGIL_H_
