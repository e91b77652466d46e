#include "artifact/profile.h"

#include "base/error.h"
#include "base/text.h"

namespace cachectl::artifact {

const Candidate& Profile::candidate(const std::string& name) const {
  std::vector<std::string> known;
  for (const auto& candidate : candidates) {
    if (candidate.name == name) return candidate;
    known.push_back(candidate.name);
  }
  const std::string near = text::nearest(name, known);
  fail(ExitCode::kIncompatible, "layer '{}' is no candidate of this profile{}; it has {}", name,
       near.empty() ? "" : " (did you mean '" + near + "'?)", text::join(known, ", "));
}

}  // namespace cachectl::artifact
