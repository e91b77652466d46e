#pragma once

#include "serve/options.h"

namespace cachectl::serve {

// Loads, listens and serves until SIGTERM or SIGINT, and then until all that was accepted has
// its answer. Prints the address on stdout once it can be asked. Throws Error: what
// ServedModel::load, Access::from_file and Server throw; cancel::Cancelled when it ended
// before all was answered: by a second signal or after drain_seconds.
void run(const Options& options);

}  // namespace cachectl::serve
