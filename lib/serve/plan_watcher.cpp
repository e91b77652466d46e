#include "serve/plan_watcher.h"

#include <exception>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "model/threads.h"
#include "serve/file_state.h"

namespace cachectl::serve {
namespace {

// What was made ready by the old plan's requests must fit the new plan's batches.
void require_same_face(const ServedModel& old, const ServedModel& made, const std::string& path) {
  if (made.item_shape() == old.item_shape()) return;
  fail(ExitCode::kIncompatible, "{}: takes inputs of {}, the plan in force takes {}; start anew",
       path, text::shape(made.item_shape()), text::shape(old.item_shape()));
}

}  // namespace

PlanWatcher::PlanWatcher(Service& service) : service_(service), thread_([this] { watch(); }) {}

PlanWatcher::~PlanWatcher() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void PlanWatcher::look() {
  {
    const std::lock_guard lock(mutex_);
    asked_ = true;
  }
  wake_.notify_all();
}

void PlanWatcher::watch() {
  model::set_threads_here(1);  // the workers' share is theirs
  const Options& options = service_.options();
  FileState known = service_.models().get()->source();
  std::unique_lock lock(mutex_);
  while (true) {
    const auto told = [&] { return asked_ || ended_; };
    if (options.watch_seconds > 0) {
      wake_.wait_for(lock, seconds(options.watch_seconds), told);
    } else {
      wake_.wait(lock, told);
    }
    if (ended_) return;
    const bool asked = asked_;
    asked_ = false;
    lock.unlock();
    // Taken before the file is read: a change meanwhile is seen at the next look.
    const FileState present = state_of(options.plan);
    if (asked || (present != known && present != FileState{})) {
      known = present;
      reload();
    }
    lock.lock();
  }
}

void PlanWatcher::reload() {
  const Options& options = service_.options();
  const std::shared_ptr<const ServedModel> old = service_.models().get();
  const std::string old_hash = old->facts().hash.substr(0, 12);
  try {
    const Clock::time_point start = Clock::now();
    std::shared_ptr<const ServedModel> made = ServedModel::load(options, old->backbone());
    require_same_face(*old, *made, options.plan);
    const std::string hash = made->facts().hash.substr(0, 12);
    service_.models().set(std::move(made));
    service_.metrics().reloaded(true);
    log::info("plan {} is in force, {} before; loaded and tested in {}", hash, old_hash,
              text::duration(seconds_of(Clock::now() - start)));
  } catch (const std::exception& error) {
    service_.metrics().reloaded(false);
    log::error("the plan stays {}: {}", old_hash, error.what());
  }
}

}  // namespace cachectl::serve
