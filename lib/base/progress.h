#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace cachectl {

// A bar with rate and time left on stderr; where stderr is no terminal, a plain
// log line now and then instead. advance() may be called from several threads.
class Progress {
 public:
  // unit: what is counted, in the plural ("samples", "trials"). total 0: unknown.
  Progress(std::string label, std::int64_t total, std::string unit);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void advance(std::int64_t count = 1);
  // Work that an earlier run had done: shown as done, kept out of the rate.
  void skip(std::int64_t count);
  // A short remark behind the bar: a loss, a layer's name.
  void note(std::string text);
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  void show(bool last);

  std::mutex mutex_;
  const std::string label_, unit_;
  std::string note_;
  const std::int64_t total_;
  std::int64_t done_ = 0, skipped_ = 0;
  const Clock::time_point start_ = Clock::now();
  Clock::time_point shown_ = start_;
  bool finished_ = false;
};

namespace progress_detail {
void clear_line();  // before a log line is written over a bar
}

}  // namespace cachectl
