#include "base/memory.h"

#include <cstdlib>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace cachectl::memory {

// glibc gives an allocation of megabytes pages of its own, and every thread a pool that is
// trimmed at once: a training step then spends a sixth of its time in page faults.
void keep_freed() {
#ifdef __GLIBC__
  constexpr int kOwnPagesFrom = 32 << 20;  // the most that glibc allows
  constexpr int kKept = 1 << 30;
  mallopt(M_MMAP_THRESHOLD, kOwnPagesFrom);
  mallopt(M_TRIM_THRESHOLD, kKept);
  mallopt(M_ARENA_MAX, 1);
#endif
}

}  // namespace cachectl::memory
