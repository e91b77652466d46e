#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

// Counters, gauges and histograms, written in Prometheus' text format 0.0.4.
namespace cachectl::serve {

class Counter {
 public:
  void add(double amount = 1) {
    double value = value_.load(std::memory_order_relaxed);
    while (!value_.compare_exchange_weak(value, value + amount, std::memory_order_relaxed)) {
    }
  }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

class Histogram {
 public:
  explicit Histogram(const std::vector<double>& bounds);  // ascending upper bounds
  void observe(double value);

  struct Snapshot {
    std::vector<std::uint64_t> counts;  // per bound, and one beyond the last; not cumulative
    double sum = 0;
    std::uint64_t count() const;
  };
  Snapshot snapshot() const;
  const std::vector<double>& bounds() const { return bounds_; }

 private:
  const std::vector<double>& bounds_;  // the family's
  std::vector<std::atomic<std::uint64_t>> counts_;
  Counter sum_;
};

// Label names and values in the order they are written.
using Labels = std::vector<std::pair<std::string, std::string>>;
std::string text_of(const Labels& labels);  // {exit="layer1"}, values escaped; "" for none

// All metrics of one name. A series is made when it is first asked for and stays.
template <class T>
class Family {
 public:
  explicit Family(std::function<std::unique_ptr<T>()> make) : make_(std::move(make)) {}
  T& at(const Labels& labels) {
    const std::lock_guard lock(mutex_);
    std::unique_ptr<T>& series = series_[labels];
    if (!series) series = make_();
    return *series;
  }
  void for_each(const std::function<void(const Labels&, const T&)>& action) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [labels, series] : series_) action(labels, *series);
  }

 private:
  std::function<std::unique_ptr<T>()> make_;
  mutable std::mutex mutex_;
  std::map<Labels, std::unique_ptr<T>> series_;
};

// A value that is asked for when the metrics are read.
struct Reading {
  Labels labels;
  double value = 0;
};

class Registry {
 public:
  Family<Counter>& counters(const std::string& name, const std::string& help);
  Family<Histogram>& histograms(const std::string& name, const std::string& help,
                                std::vector<double> bounds);
  void gauge(const std::string& name, const std::string& help,
             std::function<std::vector<Reading>()> read);
  // As a gauge, of a value that only grows.
  void counted(const std::string& name, const std::string& help, std::function<double()> read);

  std::string text() const;

 private:
  struct Entry {
    std::string name, help, type;
    std::function<void(std::string&)> write;
  };
  // Made before the server starts, then only read.
  std::vector<Entry> entries_;
  std::vector<std::unique_ptr<Family<Counter>>> counters_;
  std::vector<std::unique_ptr<Family<Histogram>>> histograms_;
  std::vector<std::unique_ptr<const std::vector<double>>> bounds_;
};

// 1, 1.5, 2, 3, 5, 7 times powers of ten, within [from, to].
std::vector<double> steps_between(double from, double to);

}  // namespace cachectl::serve
