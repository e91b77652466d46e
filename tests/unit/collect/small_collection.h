#pragma once

#include <torch/csrc/jit/api/module.h>

#include <filesystem>
#include <string>

#include "collect/collect.h"
#include "support/bytes.h"
#include "support/scratch.h"
#include "zoo/zoo.h"

// An untrained resnet8 over 200 synthetic images of 16x16, and what collects from it.
namespace cachectl::collect {

struct SmallCollection {
  Scratch scratch;
  Options options;

  SmallCollection() {
    zoo::Spec spec;
    spec.arch = "resnet8";
    spec.input_size = 16;
    zoo::build(spec, 7).save(scratch.path("backbone.pt"));
    options.common.tool = "cachectl-collect";
    options.common.no_provenance = true;
    options.backbone.path = scratch.path("backbone.pt");
    options.data.samples = 200;
    options.data.image_size = 16;
    options.batch_size = 32;
    options.out = scratch.path("medial.h5");
  }
  std::string path(const std::string& name) const { return scratch.path(name); }
  Result record_as(const std::string& name) {
    options.out = path(name);
    return record(options);
  }
};

}  // namespace cachectl::collect
