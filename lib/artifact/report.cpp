#include "artifact/report.h"

#include <limits>

namespace cachectl::artifact {

const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kBothRight:
      return "both right";
    case Verdict::kBothWrongAlike:
      return "both wrong alike";
    case Verdict::kBackboneRight:
      return "backbone right, cache wrong";
    case Verdict::kCacheRight:
      return "cache right, backbone wrong";
    case Verdict::kBothWrongApart:
      return "both wrong, differently";
  }
  return "";
}

std::optional<Emptiness> PlanOutcome::emptiness() const {
  if (exits.size() > 1) return std::nullopt;
  return emptiness_of(has_certificate ? &certificate.certificate : nullptr);
}

double Report::predicted_saving(const Latency& row) const {
  const PlanOutcome& plan = plans.at(row.plan);
  if (cost_kind != "latency" || plan.batch != row.batch) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  return plan.predicted_saving;
}

}  // namespace cachectl::artifact
