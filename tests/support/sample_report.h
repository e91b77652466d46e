#pragma once

#include "artifact/report.h"

namespace cachectl::report {

// A report as cachectl-eval would write it, over simulated samples: every figure in it is
// counted from the same draw, so that the parts fit together.
artifact::Report sample_report();

// The least that a report may hold: no labels, timings, images, names or candidates, and a
// plan that is the plain backbone.
artifact::Report bare_report();

// The same, empty since none of its 12 plans could be certified.
artifact::Report uncertified_report();

// One of everything that a report may hold, and little of it.
artifact::Report small_report();

}  // namespace cachectl::report
