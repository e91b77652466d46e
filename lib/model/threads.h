#pragma once

namespace cachectl::model {

// How many threads LibTorch takes for what this thread asks of it. Call it on each thread of one's
// own that computes: a number set on another thread counts for those that have none yet.
void set_threads_here(int threads);

}  // namespace cachectl::model
