#pragma once

#include <string>
#include <vector>

#include "base/options.h"
#include "io/artifact.h"

namespace cachectl::artifact {

// One medial file over the rows of several, which keep the activations and stay where they
// are: HDF5's virtual data sets show them as one. Shards come in their order, and all of
// them must be there; what else is merged (a later --append) keeps the order it is given
// in. Throws Error(kIncompatible) for files of other backbones, layers or types and for a
// sample that is in two of them; (kUsage) for a missing shard.
io::Provenance merge_medial(const std::string& out, const std::vector<std::string>& paths,
                            const CommonOptions& common);

}  // namespace cachectl::artifact
