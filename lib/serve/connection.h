#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace cachectl::serve {

// A connection, whatever is spoken on it.
class Connection {
 public:
  virtual ~Connection() = default;
  // The server ends: what was accepted is answered, then the connection is closed. From any
  // thread.
  virtual void drain() = 0;
};

// Those that are open.
class Connections {
 public:
  void add(const std::shared_ptr<Connection>& connection) {
    const std::lock_guard lock(mutex_);
    open_[connection.get()] = connection;
  }
  void remove(Connection* connection) {
    const std::lock_guard lock(mutex_);
    open_.erase(connection);
  }
  std::size_t count() const {
    const std::lock_guard lock(mutex_);
    return open_.size();
  }
  void drain() {
    std::vector<std::shared_ptr<Connection>> all;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [key, weak] : open_) {
        if (auto one = weak.lock()) all.push_back(std::move(one));
      }
    }
    for (const auto& one : all) one->drain();
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<Connection*, std::weak_ptr<Connection>> open_;
};

}  // namespace cachectl::serve
