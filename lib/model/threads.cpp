#include "model/threads.h"

#include <ATen/Parallel.h>

namespace cachectl::model {

void set_threads_here(int threads) {
  // At its first question a thread is given the process's number, which is the one that was set
  // last, on whatever thread: that must lie behind it.
  (void)at::get_num_threads();
  at::set_num_threads(threads);
}

}  // namespace cachectl::model
