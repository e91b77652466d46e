// classify BACKBONE.pt PLAN.h5 [BATCH]
// Answers a batch through the cache-enabled backbone and prints each answer as soon as its
// exit resolves it. The inputs are the plan's own self-test samples, repeated: put your own
// tensor [B, ...], transformed as the backbone expects it, in their place.
#include <ATen/ATen.h>

#include <cstdio>
#include <cstdlib>

#include "artifact/plan.h"
#include "base/error.h"
#include "runtime/engine.h"

int main(int argc, char** argv) {
  using namespace cachectl;
  if (argc < 3) {
    std::fprintf(stderr, "usage: classify BACKBONE.pt PLAN.h5 [BATCH]\n");
    return 2;
  }
  try {
    const runtime::Engine engine = runtime::Engine::open(argv[1], argv[2]);

    const at::Tensor samples = artifact::read_plan(argv[2]).self_test_inputs;
    const std::int64_t batch = argc > 3 ? std::atoll(argv[3]) : samples.size(0);
    const at::Tensor inputs = samples.index_select(0, at::arange(batch).remainder(samples.size(0)));

    const std::size_t plan = engine.plan_for(batch);
    const runtime::BatchStats stats = engine.infer(inputs, [&](const runtime::Answer& answer) {
      std::printf("%8.3f ms  sample %3lld  class %4d  confidence %.3f  at %s\n",
                  answer.milliseconds, static_cast<long long>(answer.sample), answer.label,
                  static_cast<double>(answer.confidence),
                  engine.exit_name(plan, answer.exit).c_str());
    });
    std::printf("%lld samples in %.3f ms, %.1f MFLOPs\n", static_cast<long long>(batch),
                stats.milliseconds, stats.flops() * 1e-6);
  } catch (const Error& error) {
    std::fprintf(stderr, "classify: %s\n", error.what());
    return static_cast<int>(error.code());
  }
}
