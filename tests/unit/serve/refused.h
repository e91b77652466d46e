#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "serve/refusal.h"

namespace cachectl::serve {

// Runs the action, expects a Refusal with this status, and returns its text.
inline std::string refused(const std::function<void()>& action, int status) {
  try {
    action();
  } catch (const Refusal& refusal) {
    EXPECT_EQ(refusal.status(), status) << refusal.what();
    return refusal.what();
  }
  ADD_FAILURE() << "no refusal, expected status " << status;
  return "";
}

}  // namespace cachectl::serve
