#include "artifact/report.h"

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

}  // namespace cachectl::artifact
