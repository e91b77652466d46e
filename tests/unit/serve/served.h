#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "artifact/plan.h"
#include "serve/served_model.h"
#include "support/cached_backbone.h"

namespace cachectl::serve::test {

// A plan file beside a backbone, both small, and what the server makes of them.
class Served {
 public:
  static constexpr std::int64_t kValues = 3 * CachedBackbone::kSize * CachedBackbone::kSize;

  // Exits that about some of the samples pass. With a transform, images are taken.
  explicit Served(const std::vector<double>& thresholds = {0.6, 0.6, 0.6},
                  std::string transform = "")
      : transform_(std::move(transform)) {
    write_plan(thresholds);
    options.engine.backbone.path = cached_.path();
    options.plan = plan_path();
    options.model = "m";
  }

  void write_plan(const std::vector<double>& thresholds) const {
    artifact::PlanFile plan = cached_.plan(CachedBackbone::layers(), thresholds);
    plan.transform = transform_;
    plan.class_names = {"a", "b", "c", "d", "e", "f", "g"};
    CommonOptions common;
    common.force = true;
    artifact::write_plan(
        plan_path(), plan, common,
        {{"backbone", io::outside_input("backbone", cached_.backbone()->hash(), "")}});
  }

  std::shared_ptr<const ServedModel> load() const {
    return ServedModel::load(options, cached_.backbone());
  }
  std::string plan_path() const { return cached_.scratch().path("plan.h5"); }
  const CachedBackbone& cached() const { return cached_; }

  Options options;

 private:
  CachedBackbone cached_;
  std::string transform_;
};

}  // namespace cachectl::serve::test
