#include "calibrate/export.h"

#include <fmt/core.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace cachectl::calibrate {
namespace {

using Json = nlohmann::ordered_json;

Json diagram_of(const artifact::ReliabilityDiagram& diagram) {
  return {{"edges", diagram.edges},
          {"samples", diagram.samples},
          {"confidence", diagram.confidence},
          {"agreement", diagram.agreement}};
}

void write_json(std::ostream& out, const artifact::Caches& caches) {
  Json all = Json::array();
  for (const auto& cache : caches.caches) {
    const auto& found = cache.calibration;
    all.push_back({{"layer", cache.layer},
                   {"architecture", cache.architecture},
                   {"temperature", found.temperature},
                   {"ece_before", found.ece_before},
                   {"ece_after", found.ece_after},
                   {"threshold", found.thresholds.threshold},
                   {"hit_rate", found.thresholds.hit_rate},
                   {"cache_accuracy", found.thresholds.cache_accuracy},
                   {"drop", found.thresholds.drop},
                   {"reliability_before", diagram_of(found.before)},
                   {"reliability_after", diagram_of(found.after)}});
  }
  out << all.dump(1) << '\n';
}

// A layer's name may hold anything; RFC 4180 quotes.
std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string result = "\"";
  for (const char c : text) result += c == '"' ? std::string("\"\"") : std::string(1, c);
  return result + '"';
}

void write_csv(std::ostream& out, const artifact::Caches& caches) {
  out << "layer,threshold,hit_rate,cache_accuracy,drop\n";
  for (const auto& cache : caches.caches) {
    const auto& curve = cache.calibration.thresholds;
    for (std::size_t k = 0; k < curve.threshold.size(); ++k) {
      out << fmt::format("{},{:.9g},{:.9g},{:.9g},{:.9g}\n", quoted(cache.layer),
                         curve.threshold[k], curve.hit_rate[k], curve.cache_accuracy[k],
                         curve.drop[k]);
    }
  }
}

}  // namespace

void require_known_format(const std::string& path) {
  const std::string ending = std::filesystem::path(path).extension().string();
  if (ending != ".csv" && ending != ".json") {
    fail(ExitCode::kUsage, "--curves: '{}': expected a name that ends in .csv or .json", path);
  }
}

void export_curves(const std::string& path, const artifact::Caches& caches) {
  std::ofstream out(path);
  if (std::filesystem::path(path).extension() == ".csv") {
    write_csv(out, caches);
  } else {
    write_json(out, caches);
  }
  out.flush();
  if (!out) fail(ExitCode::kCannotOpen, "{}: cannot write: {}", path, errno_text());
}

}  // namespace cachectl::calibrate
