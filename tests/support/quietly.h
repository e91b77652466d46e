#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

// Runs a stage and gives back what it printed to stdout; what it throws goes on.
inline std::string output_of(const std::function<void()>& stage) {
  testing::internal::CaptureStdout();
  try {
    stage();
  } catch (...) {
    testing::internal::GetCapturedStdout();
    throw;
  }
  return testing::internal::GetCapturedStdout();
}
