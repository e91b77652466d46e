#include "eval/eval.h"

namespace cachectl::eval {

void describe(OptionTable& table, Options& options) {
  runtime::describe(table, options.engine);
  data::describe(table, options.data);
  data::describe(table, options.split);
  table.section("eval");
  table.input("plan", options.plan, "what cachectl-select chose").required();
  table.output("out", options.out, "the report");
  table.output("html", options.html, "the report as a page to read in a browser");
  table.output_folder("csv", options.csv, "a folder for the tables as CSV");
  table.input("caches", options.caches,
              "calibrated cache models, to measure all of them alone, not the plan's only");
  table.input("medial", options.medial, "takes the test part's samples from this medial file");
  table.value("beside", &options.beside, "reports of other methods, to draw their curves beside");
  table.also_reads([&options] {
    std::vector<std::string> files = options.beside;
    const data::Options& data = options.data;
    if (data.kind == "npy" && !data.labels.empty() && options.use_labels) {
      files.push_back(options.common.resolve(data.labels));
    }
    return files;
  });
  table.value("all_samples", &options.all_samples,
              "measure on the whole data set (samples that the plan has seen are still refused)");
  table.value("use_labels", &options.use_labels,
              "open the data's labels, where it has them; --use-labels=false: not");
  table.value("timing", &options.timing, "measure latency; --timing=false: not");
  table.value("batches", &options.batches, "batch sizes of the latency").range(1, 65536);
  table.value("repeats", &options.repeats, "pairs of runs per batch size").range(2, 1e6);
  table
      .value("minutes", &options.minutes,
             "time limit of a batch size's latency, and of a curve's; fewer repeats beyond it")
      .range(0.01, 1e5);
  table.value("curve_batch", &options.curve_batch, "batch size of accuracy against latency")
      .range(1, 65536);
  table.value("curve_repeats", &options.curve_repeats, "pairs of runs per point of that curve")
      .range(0, 1e6);
  table.value("curve_points", &options.curve_points, "points kept of a threshold curve")
      .range(2, 1e6)
      .only_in_yaml();
  table.value("bins", &options.bins, "bins of the reliability diagrams")
      .range(1, 1000)
      .only_in_yaml();
  table.value("resamples", &options.resamples, "resamples of the bootstrap")
      .range(10, 1e6)
      .only_in_yaml();
  table
      .value("examples", &options.examples,
             "images kept that leave early, and as many that leave "
             "late")
      .range(0, 1000);
}

}  // namespace cachectl::eval
