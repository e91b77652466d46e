#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

#include "artifact/medial_writer.h"
#include "base/random.h"

// A small medial file made of tensors, without a backbone: each class has a pattern in
// every layer, and a sample is its class's pattern with noise, less of it with depth. So a
// small cache model learns the deeper layers well, and the backbone's PD is confident.
struct TinyMedial {
  std::int64_t samples = 200, classes = 4;
  std::int32_t views = 0;  // augmented ones of each training sample
  std::uint64_t seed = 1;
  cachectl::io::DType stored = cachectl::io::DType::kFloat32;
  int deflate = 0;
  std::int64_t rows_per_block = 64;
  std::string backbone_hash = std::string(64, 'b');

  struct Layer {
    std::string name;
    std::vector<std::int64_t> shape;
    double noise;  // standard deviation, beside patterns of standard deviation 1
  };
  std::vector<Layer> layers = {
      {"early", {4, 8, 8}, 4}, {"middle", {8, 4, 4}, 2}, {"late", {16}, 1}};

  // Filled by write().
  cachectl::artifact::MedialPlan plan;
  at::Tensor pd;                        // [rows, classes]
  std::vector<at::Tensor> activations;  // by layer, [rows, ...shape]
  std::vector<std::int64_t> labels;     // the class each row was drawn from

  // Draws the rows; ids are 1000, 1001, ...; parts in shares of 50, 10, 10 and 30 %.
  void draw() {
    using namespace cachectl;
    plan = {};
    plan.classes = classes;
    plan.deflate = deflate;
    Rng rng(derive_seed(seed, "tiny medial"));
    const auto normal = [&rng](std::vector<std::int64_t> sizes) {
      at::Tensor tensor = at::empty(sizes, at::kFloat);
      for (std::int64_t i = 0; i < tensor.numel(); ++i) {
        tensor.data_ptr<float>()[i] = static_cast<float>(rng.normal());
      }
      return tensor;
    };
    labels.clear();
    for (std::int64_t i = 0; i < samples; ++i) {
      const std::int64_t share = i % 10;
      plan.rows.add(1000 + std::uint64_t(i), share < 5    ? data::Part::kTrain
                                             : share == 5 ? data::Part::kValidation
                                             : share == 6 ? data::Part::kCertify
                                                          : data::Part::kTest);
      labels.push_back(std::int64_t(rng.below(std::uint64_t(classes))));
    }
    for (std::int32_t view = 1; view <= views; ++view) {
      for (std::int64_t i = 0; i < samples; ++i) {
        if (i % 10 >= 5) continue;
        plan.rows.add_view(1000 + std::uint64_t(i), view, 0, 0, 1);
        labels.push_back(labels[std::size_t(i)]);
      }
    }
    const std::int64_t rows = plan.rows.size();
    const at::Tensor classes_of_rows = at::tensor(labels);
    pd = at::softmax(
        at::one_hot(classes_of_rows, classes).to(at::kFloat) * 6 + normal({rows, classes}), 1);
    activations.clear();
    for (const auto& layer : layers) {
      std::vector<std::int64_t> sizes{classes};
      sizes.insert(sizes.end(), layer.shape.begin(), layer.shape.end());
      const at::Tensor pattern = normal(sizes);
      sizes[0] = rows;
      activations.push_back(pattern.index_select(0, classes_of_rows) + normal(sizes) * layer.noise);
      artifact::MedialLayer described;
      described.name = layer.name;
      described.shape = layer.shape;
      described.stored = stored;
      plan.layers.push_back(described);
    }
    plan.cut_into_blocks(rows_per_block);
  }

  cachectl::io::Provenance write(const std::string& path) {
    using namespace cachectl;
    draw();
    CommonOptions common;
    common.tool = "cachectl-test";
    common.no_provenance = true;
    return artifact::write_medial(
        path, plan, pd, activations, common,
        {{"backbone", io::outside_input("backbone", backbone_hash, "tiny")},
         {"data", io::outside_input("data", std::string(64, 'd'), "tiny")}});
  }
};
