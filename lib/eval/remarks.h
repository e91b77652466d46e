#pragma once

#include <vector>

#include "artifact/report.h"

namespace cachectl::eval {

// What a reader must know, in plain sentences: what was gained and what was not, where
// estimates and outcome part, what the certificate does and does not say.
std::vector<artifact::Remark> remarks_on(const artifact::Report& report);

}  // namespace cachectl::eval
