#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "serve/service.h"

namespace cachectl::serve {

// Takes a new plan when its file changes or when it is told to look: loads it beside the one
// in force, runs its self-test and puts it in the slot. A plan that can't be taken leaves the
// old one in force, and is not tried again until the file changes.
class PlanWatcher {
 public:
  explicit PlanWatcher(Service& service);  // must outlive the watcher
  ~PlanWatcher();

  void look();  // in any case, changed or not; returns at once

 private:
  void watch();
  void reload();

  Service& service_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool asked_ = false, ended_ = false;
  std::thread thread_;
};

}  // namespace cachectl::serve
