#include "model/precision.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <torch/version.h>

#include "base/error.h"

namespace cachectl::model {

namespace {

bool cpu_multiplies_bfloat16() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16") != 0;  // every CPU with AMX has it too
#else
  return false;
#endif
}

// LibTorch 2.4 gave the functions of all devices one name.
void switch_autocast(at::DeviceType type, bool is_on) {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
  at::autocast::set_autocast_dtype(type, at::kBFloat16);
  at::autocast::set_autocast_enabled(type, is_on);
#else
  if (type == at::kCPU) {
    at::autocast::set_autocast_cpu_dtype(at::kBFloat16);
    at::autocast::set_cpu_enabled(is_on);
  } else {
    at::autocast::set_autocast_gpu_dtype(at::kBFloat16);
    at::autocast::set_enabled(is_on);
  }
#endif
}

}  // namespace

std::string resolved_precision(const std::string& precision, const at::Device& device) {
  if (precision == "auto") {
    return device.is_cuda() || cpu_multiplies_bfloat16() ? "bfloat16" : "float32";
  }
  if (precision != "float32" && precision != "bfloat16") {
    fail(ExitCode::kUsage, "precision '{}': expected auto, float32 or bfloat16", precision);
  }
  return precision;
}

MixedPrecision::MixedPrecision(bool is_on, const at::Device& device)
    : is_on_(is_on), type_(device.type()) {
  if (is_on_) switch_autocast(type_, true);
}

MixedPrecision::~MixedPrecision() {
  if (!is_on_) return;
  switch_autocast(type_, false);
  at::autocast::clear_cache();  // the casts of weights that the next step changes
}

}  // namespace cachectl::model
