#include "base/error.h"
#include "model/backbone.h"

namespace cachectl::model {

void describe(OptionTable& table, BackboneOptions& options) {
  table.section("backbone");
  table.value("path", &options.path, "TorchScript file of the backbone")
      .named("--backbone")
      .names_input()
      .required();
  table
      .value("output_kind", &options.output_kind,
             "what forward gives; auto: probabilities when rows are >= 0 and sum to 1")
      .choices({"auto", "logits", "probabilities"});
  table.value("output", &options.output,
              "which tensor of a tuple (index or name) or dict (key) is the classifier's output");
  table.value("precision", &options.precision, "precision to run the backbone in")
      .choices({"float32", "bfloat16"});
  table.value("memory_format", &options.memory_format, "layout of image tensors")
      .choices({"auto", "contiguous", "channels_last"});
  table
      .value("names", &options.names,
             "candidates: the outputs of modules and blocks, or every cut of the graph")
      .choices({"blocks", "all"})
      .named("--candidates");
  table
      .value("min_share_left", &options.min_share_left,
             "drop candidates with a smaller share of the FLOPs behind them")
      .range(0, 0.99);
}

const char* name_of(OutputKind kind) {
  return kind == OutputKind::kLogits ? "logits" : "probabilities";
}

OutputKind output_kind_from_name(const std::string& name) {
  if (name == "logits") return OutputKind::kLogits;
  if (name == "probabilities") return OutputKind::kProbabilities;
  fail(ExitCode::kUsage, "backbone.output_kind: '{}': expected logits or probabilities", name);
}

}  // namespace cachectl::model
