#pragma once

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <thread>

#include "base/cancel.h"

// Runs a stage and asks it to end, as a signal would, once its file has appeared and
// `seen` says so. True when it ended so; false when it had finished before.
inline bool interrupted(const std::function<void()>& stage, const std::function<bool()>& seen) {
  std::atomic<bool> done{false};
  bool cancelled = false;
  std::thread watcher([&] {
    while (!done && !seen()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (!done) cachectl::cancel::request(SIGTERM);
  });
  try {
    stage();
  } catch (const cachectl::cancel::Cancelled&) {
    cancelled = true;
  }
  done = true;
  watcher.join();
  cachectl::cancel::request(0);
  return cancelled;
}
