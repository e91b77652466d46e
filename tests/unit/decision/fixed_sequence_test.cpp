#include "decision/fixed_sequence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace cachectl::decision {
namespace {

// The same sum in long double, term by term from the definition.
long double cdf_by_definition(int k, int n, long double p) {
  long double sum = 0;
  for (int i = 0; i <= k; ++i) {
    long double term = 1;
    for (int j = 0; j < i; ++j) term *= static_cast<long double>(n - j) / (i - j) * p;
    sum += term * std::pow(1 - p, n - i);
  }
  return sum;
}

TEST(BinomialCdf, EqualsTheSumOfItsDefinition) {
  for (const int n : {1, 2, 7, 40, 150, 300}) {
    for (const double p : {0.001, 0.01, 0.1, 0.5, 0.93}) {
      for (int k = -1; k <= n; ++k) {
        const auto expected = static_cast<double>(cdf_by_definition(k, n, p));
        EXPECT_NEAR(binomial_cdf(k, n, p), expected, 1e-12 + 1e-9 * expected)
            << k << " of " << n << " at " << p;
      }
    }
  }
}

TEST(BinomialCdf, HasItsLimits) {
  EXPECT_EQ(binomial_cdf(-1, 10, 0.5), 0);
  EXPECT_EQ(binomial_cdf(10, 10, 0.5), 1);
  EXPECT_EQ(binomial_cdf(3, 10, 0), 1);
  EXPECT_EQ(binomial_cdf(3, 10, 1), 0);
  EXPECT_NEAR(binomial_cdf(0, 100000, 0.01), std::pow(0.99, 100000), 1e-300);
}

// The table of the specification's page on the certificate.
TEST(Certificate, AllowsTheErrorsOfThePublishedTable) {
  const struct {
    double epsilon;
    std::int64_t least;
    std::int64_t allowed[4];
  } rows[] = {
      {0.005, 598, {1, 4, 16, 38}}, {0.01, 299, {4, 12, 38, 83}}, {0.02, 149, {12, 29, 83, 176}}};
  const std::int64_t sizes[] = {1000, 2000, 5000, 10000};
  for (const auto& row : rows) {
    EXPECT_EQ(samples_needed(0, row.epsilon, 0.05), row.least);
    EXPECT_EQ(losses_allowed(row.least - 1, row.epsilon, 0.05), -1);
    EXPECT_EQ(losses_allowed(row.least, row.epsilon, 0.05), 0);
    for (int i = 0; i < 4; ++i) {
      const std::int64_t allowed = row.allowed[i];
      EXPECT_EQ(losses_allowed(sizes[i], row.epsilon, 0.05), allowed);
      EXPECT_LE(p_value(allowed, sizes[i], row.epsilon), 0.05);
      EXPECT_GT(p_value(allowed + 1, sizes[i], row.epsilon), 0.05);
    }
  }
}

TEST(Certificate, NeedsTheLeastNumberOfSamplesThatPasses) {
  for (const std::int64_t k : {0, 3, 20}) {
    const std::int64_t n = samples_needed(k, 0.01, 0.05);
    EXPECT_LE(p_value(k, n, 0.01), 0.05);
    EXPECT_GT(p_value(k, n - 1, 0.01), 0.05);
  }
}

TEST(Certificate, UpperBoundIsWhereTheTestTurns) {
  EXPECT_NEAR(upper_bound(0, 299, 0.05), 1 - std::pow(0.05, 1.0 / 299), 1e-9);
  const double bound = upper_bound(12, 1000, 0.05);
  EXPECT_NEAR(p_value(12, 1000, bound), 0.05, 1e-9);
  EXPECT_EQ(upper_bound(5, 5, 0.05), 1);
}

TEST(FixedSequence, CertifiesWhatStandsBeforeTheFirstFailureAndNotIt) {
  std::vector<std::size_t> asked;
  const std::vector<std::int64_t> losses = {0, 2, 4, 5, 1, 0};
  const auto result = test_in_sequence(6, 1000, 0.01, 0.05, [&](std::size_t j) {
    asked.push_back(j);
    return losses[j];
  });
  EXPECT_EQ(result.certified, 3u);
  EXPECT_THAT(asked, testing::ElementsAre(0, 1, 2, 3));  // nothing behind it is looked at
  EXPECT_FALSE(result.tests.back().passed);
  EXPECT_TRUE(result.tests[2].passed);
}

TEST(FixedSequence, CertifiesNothingWithTooFewSamples) {
  const auto result = test_in_sequence(3, 298, 0.01, 0.05, [](std::size_t) { return 0; });
  EXPECT_EQ(result.certified, 0u);
  EXPECT_EQ(test_in_sequence(3, 299, 0.01, 0.05, [](std::size_t) { return 0; }).certified, 3u);
}

}  // namespace
}  // namespace cachectl::decision
