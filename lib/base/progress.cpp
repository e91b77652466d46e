#include "base/progress.h"

#include <atomic>
#include <cmath>
#include <cstdio>

#include "base/log.h"
#include "base/text.h"

namespace cachectl {
namespace {

constexpr std::chrono::milliseconds kBarInterval{200};
constexpr std::chrono::seconds kLineInterval{20};

std::atomic<bool> g_bar_shown{false};

}  // namespace

namespace progress_detail {
void clear_line() {
  if (g_bar_shown.exchange(false)) std::fputs("\r\033[K", stderr);
}
}  // namespace progress_detail

Progress::Progress(std::string label, std::int64_t total, std::string unit)
    : label_(std::move(label)), unit_(std::move(unit)), total_(total) {}

Progress::~Progress() {
  progress_detail::clear_line();
}

void Progress::advance(std::int64_t count) {
  const std::lock_guard lock(mutex_);
  done_ += count;
  const auto interval = log::stderr_is_terminal() ? Clock::duration(kBarInterval) : kLineInterval;
  if (Clock::now() - shown_ >= interval) show(false);
}

void Progress::skip(std::int64_t count) {
  const std::lock_guard lock(mutex_);
  done_ += count;
  skipped_ += count;
}

void Progress::note(std::string text) {
  const std::lock_guard lock(mutex_);
  note_ = std::move(text);
}

void Progress::finish() {
  const std::lock_guard lock(mutex_);
  if (!finished_) show(true);
  finished_ = true;
}

void Progress::show(bool last) {
  shown_ = Clock::now();
  const double seconds = std::chrono::duration<double>(shown_ - start_).count();
  const double rate = seconds > 0 ? static_cast<double>(done_ - skipped_) / seconds : 0;
  std::string line = fmt::format("{} {}", label_, done_);
  if (total_ > 0) line += fmt::format("/{}", total_);
  line += fmt::format(" {}", unit_);
  if (rate > 0) line += fmt::format(", {}/s", text::significant(rate, 3));
  if (!last && total_ > 0 && rate > 0) {
    line += fmt::format(", {} left", text::duration(static_cast<double>(total_ - done_) / rate));
  }
  if (last) line += fmt::format(", {}", text::duration(seconds));
  if (!note_.empty()) line += ", " + note_;
  if (last || !log::stderr_is_terminal()) {
    log::info("{}", line);
    return;
  }
  std::string bar;
  if (total_ > 0) {
    constexpr int kWidth = 24;
    const auto filled = static_cast<int>(kWidth * done_ / total_);
    bar = "[" + std::string(static_cast<std::size_t>(filled), '#') +
          std::string(static_cast<std::size_t>(kWidth - filled), '.') + "] ";
  }
  std::fprintf(stderr, "\r\033[K%s%s", bar.c_str(), line.c_str());
  g_bar_shown = true;
}

}  // namespace cachectl
