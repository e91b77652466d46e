#pragma once

#include <nlohmann/json.hpp>

#include "io/artifact.h"

namespace cachectl::inspect {

// What matters in a file, by name: the root's attributes beside the header's, as numbers where
// they are numbers, and what a file of this kind comes to: objects within objects, the same for
// a reader of JSON and, flattened, for a person. A file whose contents can't be read (one that
// was merged from others that are gone) has its attributes alone, and a warning is logged.
nlohmann::ordered_json key_figures(const io::ArtifactReader& reader);

}  // namespace cachectl::inspect
