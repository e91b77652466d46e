#include "serve/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>

namespace cachectl::serve {
namespace {

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

std::string escaped(const std::string& value) {
  std::string text;
  for (const char c : value) {
    if (c == '\\' || c == '"') text += '\\';
    text += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return text;
}

void write_line(std::string& out, const std::string& name, const Labels& labels, double value) {
  out += name + text_of(labels) + ' ' + number(value) + '\n';
}

void write_histogram(std::string& out, const std::string& name, const Labels& labels,
                     const Histogram& histogram) {
  const Histogram::Snapshot snapshot = histogram.snapshot();
  std::uint64_t below = 0;
  for (std::size_t b = 0; b < snapshot.counts.size(); ++b) {
    below += snapshot.counts[b];
    const bool last = b == histogram.bounds().size();
    Labels with_bound = labels;
    with_bound.emplace_back("le", last ? "+Inf" : number(histogram.bounds()[b]));
    write_line(out, name + "_bucket", with_bound, static_cast<double>(below));
  }
  write_line(out, name + "_sum", labels, snapshot.sum);
  write_line(out, name + "_count", labels, static_cast<double>(below));
}

}  // namespace

Histogram::Histogram(const std::vector<double>& bounds)
    : bounds_(bounds), counts_(bounds.size() + 1) {
  assert(std::is_sorted(bounds.begin(), bounds.end()));
}

void Histogram::observe(double value) {
  const auto bound = std::lower_bound(bounds_.begin(), bounds_.end(), value);
  counts_[static_cast<std::size_t>(bound - bounds_.begin())].fetch_add(1,
                                                                       std::memory_order_relaxed);
  sum_.add(value);
}

std::uint64_t Histogram::Snapshot::count() const {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

Histogram::Snapshot Histogram::snapshot() const {
  Snapshot snapshot;
  for (const auto& count : counts_)
    snapshot.counts.push_back(count.load(std::memory_order_relaxed));
  snapshot.sum = sum_.value();
  return snapshot;
}

std::string text_of(const Labels& labels) {
  if (labels.empty()) return "";
  std::string text;
  for (const auto& [name, value] : labels) {
    text += (text.empty() ? "{" : ",") + name + "=\"" + escaped(value) + '"';
  }
  return text + '}';
}

Family<Counter>& Registry::counters(const std::string& name, const std::string& help) {
  counters_.push_back(
      std::make_unique<Family<Counter>>([] { return std::make_unique<Counter>(); }));
  Family<Counter>& family = *counters_.back();
  entries_.push_back({name, help, "counter", [name, &family](std::string& out) {
                        family.for_each([&](const Labels& labels, const Counter& counter) {
                          write_line(out, name, labels, counter.value());
                        });
                      }});
  return family;
}

Family<Histogram>& Registry::histograms(const std::string& name, const std::string& help,
                                        std::vector<double> bounds) {
  bounds_.push_back(std::make_unique<const std::vector<double>>(std::move(bounds)));
  const std::vector<double>& kept = *bounds_.back();
  histograms_.push_back(
      std::make_unique<Family<Histogram>>([&kept] { return std::make_unique<Histogram>(kept); }));
  Family<Histogram>& family = *histograms_.back();
  entries_.push_back({name, help, "histogram", [name, &family](std::string& out) {
                        family.for_each([&](const Labels& labels, const Histogram& histogram) {
                          write_histogram(out, name, labels, histogram);
                        });
                      }});
  return family;
}

void Registry::gauge(const std::string& name, const std::string& help,
                     std::function<std::vector<Reading>()> read) {
  entries_.push_back({name, help, "gauge", [name, read = std::move(read)](std::string& out) {
                        for (const Reading& reading : read()) {
                          write_line(out, name, reading.labels, reading.value);
                        }
                      }});
}

void Registry::counted(const std::string& name, const std::string& help,
                       std::function<double()> read) {
  entries_.push_back({name, help, "counter", [name, read = std::move(read)](std::string& out) {
                        write_line(out, name, {}, read());
                      }});
}

std::string Registry::text() const {
  std::string out;
  for (const Entry& entry : entries_) {
    out += "# HELP " + entry.name + ' ' + entry.help + '\n';
    out += "# TYPE " + entry.name + ' ' + entry.type + '\n';
    entry.write(out);
  }
  return out;
}

std::vector<double> steps_between(double from, double to) {
  std::vector<double> steps;
  for (int power = -6; power <= 6; ++power) {
    for (const int tenths : {10, 15, 20, 30, 50, 70}) {
      const double step = std::stod(fmt::format("{}e{}", tenths, power - 1));
      if (step >= from * 0.999 && step <= to * 1.001) steps.push_back(step);
    }
  }
  return steps;
}

}  // namespace cachectl::serve
