#include "common/tools.h"

#include <cassert>

namespace cachectl::app {

const std::vector<Tool>& tools() {
  static const std::vector<Tool> all = {
      {"backbone", "make, fill, train and look at TorchScript backbones",
       "{list|train|import|info} [options]",
       "Any TorchScript classifier serves as a backbone; this tool makes one where there is none: "
       "a known architecture, trained on a data set or filled from public weights.",
       "profile"},
      {"profile", "find where a backbone can be cached, and what each part costs",
       "--config C --out profile.h5",
       "Cuts the backbone where one layer's output alone determines the result, counts FLOPs and "
       "bytes, and times every segment at the batch sizes asked for.",
       "collect"},
      {"collect", "record activations and the backbone's answers on inference data",
       "--config C --profile profile.h5 --out medial.h5",
       "Runs the backbone once over unlabelled data and keeps, per candidate layer, what the cache "
       "models learn from. Samples are split once, by id: train, validation, certify, test.",
       "profile search"},
      {"search", "find the best cache architecture for each layer",
       "--config C --medial medial.h5 --profile profile.h5 --out study.h5",
       "Tries architectures and keeps those that would save most at the tolerance. Skip it by "
       "naming architectures in the configuration.",
       "collect train"},
      {"train", "train the chosen cache models",
       "--config C --medial medial.h5 --study study.h5 --out caches.h5",
       "Each cache model learns the backbone's own output distribution from a layer's "
       "activations. True labels are not needed, the backbone for fresh views alone.",
       "search calibrate"},
      {"calibrate", "make confidences honest, and draw the threshold curves",
       "--config C --medial medial.h5 --caches caches.h5 --out calibrated.h5",
       "Fits one temperature per cache model on the validation part and records predictions, "
       "confidences and the curves of hit rate against accuracy.",
       "train select"},
      {"select", "choose cache models and thresholds, and certify the plan",
       "--config C --medial medial.h5 --caches calibrated.h5 --profile profile.h5 --out plan.h5",
       "Finds the subset of cache models that saves most within the tolerance, and tests on "
       "samples that nothing else has seen how often the plan may differ from the backbone.",
       "calibrate eval"},
      {"eval", "measure a plan on the test part: accuracy, FLOPs, memory, latency",
       "--config C --plan plan.h5 --out report.h5 --html report.html",
       "The only step that opens labels, where the data has them. Writes figures and a page to "
       "read in a browser.",
       "select serve"},
      {"serve", "answer requests over HTTP and WebSocket, each item at its exit",
       "--config C --plan plan.h5 --port 8080",
       "Speaks the Open Inference Protocol v2, streams answers as exits resolve them, and takes a "
       "new plan while it runs. A page for people and Prometheus' metrics are on the same port.",
       "select eval"},
      {"labels", "copy the true labels of a data set into a file of their own",
       "--config C --out labels.h5",
       "No part of the chain: for an evaluation where the data set itself can't go.", "eval"},
      {"inspect", "print what any file of the chain is, and how it was made", "FILE",
       "Shows the header, the chain of inputs back to the backbone and the data, the key figures "
       "and the objects inside.",
       ""},
  };
  return all;
}

const Tool& tool(const std::string& verb) {
  for (const auto& one : tools()) {
    if (one.verb == verb) return one;
  }
  assert(false && "a main names a verb that is not in the table");
  return tools().front();
}

}  // namespace cachectl::app
