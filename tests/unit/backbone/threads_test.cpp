#include "model/threads.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

namespace cachectl::model {
namespace {

TEST(Threads, OfOneThreadAreNotThoseThatAnotherTakes) {
  const int own = at::get_num_threads();
  std::promise<void> first_is_set, other_is_set;
  int found = 0;
  std::thread first([&] {
    set_threads_here(3);
    first_is_set.set_value();
    other_is_set.get_future().wait();
    found = at::get_num_threads();
  });
  std::thread other([&] {
    first_is_set.get_future().wait();
    set_threads_here(1);
    other_is_set.set_value();
  });
  first.join();
  other.join();
  EXPECT_EQ(found, 3);
  EXPECT_EQ(at::get_num_threads(), own);
  at::set_num_threads(own);
}

}  // namespace
}  // namespace cachectl::model
