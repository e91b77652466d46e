#pragma once

#include "select/select.h"

namespace cachectl::select {

// Tests the plans of options.verify on samples of options.medial that no step up to
// the plan has seen, and prints for each: how many differ from the backbone, the exact
// p-value and upper bound, and the verdict. "confirmed": these samples alone certify
// epsilon at level delta; "refuted": with probability 1 - delta the risk exceeds
// epsilon; "undecided": neither, as with few samples. Throws Error(kIncompatible) for
// samples that had a part in the plan, or files of another backbone.
void verify(const Options& options);

}  // namespace cachectl::select
