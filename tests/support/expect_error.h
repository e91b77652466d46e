#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "base/error.h"

// Runs the action and expects an Error with this code whose message contains the part.
inline void expect_error(const std::function<void()>& action, cachectl::ExitCode code,
                         const std::string& part) {
  try {
    action();
  } catch (const cachectl::Error& error) {
    EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(code)) << error.what();
    EXPECT_THAT(error.what(), testing::HasSubstr(part));
    return;
  }
  ADD_FAILURE() << "no error, expected one that says: " << part;
}
