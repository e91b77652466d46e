#pragma once

#include <ATen/ATen.h>

#include <string>

#include "artifact/plan.h"
#include "artifact/profile.h"
#include "model/cache_model.h"

// Small artifacts with every field filled, for tests of their files.
namespace cachectl::artifact::test {

inline TrainedCache cache_of(const std::string& layer) {
  TrainedCache cache;
  cache.layer = layer;
  cache.architecture = "fc4";
  cache.input_shape = {3, 2, 2};
  const model::CacheModel trained(model::Architecture::parse(cache.architecture), cache.input_shape,
                                  5);
  cache.flops = trained.cost().flops();
  cache.parameters = trained.cost().parameters;
  cache.weight_bytes = trained.cost().weight_bytes;
  cache.weights = trained.state();
  cache.sample_inputs = at::ones({2, 3, 2, 2});
  cache.sample_logits = trained.freeze()->logits(cache.sample_inputs);
  cache.curve = {{1, 0.5, 0.6, 0.7}, {2, 0.4, 0.55, 0.8}};
  cache.validation_agreement = 0.8;
  cache.calibrated = true;
  Calibration& calibration = cache.calibration;
  calibration.temperature = 1.5;
  calibration.ece_before = 0.2;
  calibration.ece_after = 0.01;
  calibration.predictions = {0, 4, 2};
  calibration.confidences = {0.9f, 0.8f, 0.7f};
  calibration.before = calibration.after = {{0, 0.5, 1}, {1, 2}, {0.3, 0.8}, {0, 1}};
  calibration.thresholds = {{0.9f, 0.7f}, {0.3, 1}, {1, 0.7}, {0, 0.3}};
  return cache;
}

inline PlanFile two_plans() {
  PlanFile file;
  file.backbone_hash = "abc";
  file.classes = 5;
  file.cost_kind = "latency";
  file.tolerance = 0.01;
  file.budget = "joint";
  file.caches = {cache_of("layer1"), cache_of("layer2")};
  Plan plan;
  plan.batch = 1;
  plan.exits = {{0, 0.75}, {1, 0.5}};
  plan.predicted_saving = 0.3;
  plan.predicted_risk = 0.01;
  plan.reach = {3, 2};
  plan.hits = {1, 1};
  plan.classes = {{0, 2, 1, 1}, {3, 1, 0, 0}};
  plan.runners_up = {{{"layer2"}, {0.6}, 0.2, 0.005}};
  plan.self_test_labels = {4, 1};
  plan.self_test_exits = {0, 2};
  Certificate certificate;
  certificate.epsilon = 0.02;
  certificate.delta = 0.05;
  certificate.samples = 1000;
  certificate.differing = 12;
  certificate.p_value = 0.04;
  certificate.holds = true;
  certificate.certify_ids_hash = "c";
  certificate.list_hash = "l";
  certificate.list_size = 9;
  certificate.list_tested = 6;
  certificate.list_certified = 5;
  plan.certificate = certificate;
  file.plans.push_back(plan);
  Plan empty;
  empty.batch = 32;
  empty.self_test_labels = {4, 1};
  empty.self_test_exits = {0, 0};
  file.plans.push_back(empty);
  file.self_test_inputs = at::rand({2, 3, 8, 8});
  file.transform = "resize 8 8";
  file.class_names = {"a", "b", "c", "d", "e"};
  file.train_ids = {1, 2};
  file.validation_ids = {3, ~std::uint64_t{0}};
  file.certify_ids = {5};
  return file;
}

inline CommonOptions options() {
  CommonOptions common;
  common.tool = "cachectl-test";
  common.no_provenance = true;
  return common;
}

}  // namespace cachectl::artifact::test
