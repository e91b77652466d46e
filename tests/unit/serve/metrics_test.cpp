#include "serve/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cachectl::serve {
namespace {

using testing::ElementsAre;

TEST(Metrics, AreWrittenAsPrometheusReadsThem) {
  Registry registry;
  Family<Counter>& exits = registry.counters("exits_total", "Items by exit.");
  Family<Histogram>& latency = registry.histograms("latency_seconds", "Latency.", {0.1, 0.5});
  registry.gauge("queue_items", "Waiting.", [] { return std::vector<Reading>{{{}, 3}}; });
  exits.at({{"exit", "a\"b\\c\n"}}).add(2);
  for (const double value : {0.1, 0.2, 9.0}) latency.at({{"exit", "x"}}).observe(value);
  EXPECT_EQ(registry.text(), R"(# HELP exits_total Items by exit.
# TYPE exits_total counter
exits_total{exit="a\"b\\c\n"} 2
# HELP latency_seconds Latency.
# TYPE latency_seconds histogram
latency_seconds_bucket{exit="x",le="0.1"} 1
latency_seconds_bucket{exit="x",le="0.5"} 2
latency_seconds_bucket{exit="x",le="+Inf"} 3
latency_seconds_sum{exit="x"} 9.3
latency_seconds_count{exit="x"} 3
# HELP queue_items Waiting.
# TYPE queue_items gauge
queue_items 3
)");
}

TEST(Metrics, StepsAreRoundAndEvenlySpread) {
  EXPECT_THAT(steps_between(0.01, 0.1), ElementsAre(0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1));
}

}  // namespace
}  // namespace cachectl::serve
