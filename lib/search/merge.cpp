#include <fmt/core.h>

#include <algorithm>
#include <tuple>

#include "base/error.h"
#include "base/text.h"
#include "io/artifact.h"
#include "search/search.h"

namespace cachectl::search {
namespace {

void require_all(const artifact::Study& study, std::size_t files) {
  const auto absent = artifact::missing(study);
  if (absent.empty()) return;
  std::vector<std::string> names;
  names.reserve(absent.size());
  for (const auto& unit : absent) {
    names.push_back(fmt::format("{} (bracket {})", unit.layer, unit.bracket));
  }
  fail(ExitCode::kUsage,
       "--merge: {} of the {} searches that were asked for are in none of the {} files: {}; name "
       "the studies of all shards",
       absent.size(), study.asked.size(), files, text::join(names, ", "));
}

}  // namespace

artifact::Study merge(const std::vector<std::string>& paths) {
  artifact::Study whole = artifact::read_study(paths.front());
  for (std::size_t i = 1; i < paths.size(); ++i) {
    artifact::Study part = artifact::read_study(paths[i]);
    if (part.settings != whole.settings) {
      fail(ExitCode::kIncompatible,
           "{} and {} are no shards of one study: the settings of the one are\n{}of the other\n{}",
           paths.front(), paths[i], whole.settings, part.settings);
    }
    if (part.train_ids_hash != whole.train_ids_hash ||
        part.validation_ids_hash != whole.validation_ids_hash) {
      fail(ExitCode::kIncompatible, "{} and {} were searched on different samples", paths.front(),
           paths[i]);
    }
    for (const char* kind : {"medial", "profile", "backbone"}) {
      io::require_same_input(kind, paths.front(), whole.provenance, paths[i], part.provenance);
    }
    if (whole.asked.empty()) whole.asked = part.asked;
    for (auto& layer : part.layers) {
      for (const auto& known : whole.layers) {
        if (known.layer == layer.layer && known.bracket == layer.bracket) {
          fail(ExitCode::kIncompatible, "{}: layer {}, bracket {} is in an earlier file, too",
               paths[i], layer.layer, layer.bracket);
        }
      }
      whole.layers.push_back(std::move(layer));
    }
  }
  require_all(whole, paths.size());
  // As one run has them: in the order that was asked for, which older files don't tell.
  const auto place = [&](const artifact::LayerStudy& one) {
    return std::find(whole.asked.begin(), whole.asked.end(),
                     artifact::StudyUnit{one.layer, one.bracket}) -
           whole.asked.begin();
  };
  std::stable_sort(whole.layers.begin(), whole.layers.end(), [&](const auto& a, const auto& b) {
    return std::make_tuple(place(a), a.flops_before, a.layer, a.bracket) <
           std::make_tuple(place(b), b.flops_before, b.layer, b.bracket);
  });
  return whole;
}

}  // namespace cachectl::search
