#pragma once

#include <vector>

#include "model/backbone.h"
#include "model/freeze.h"

// Runs at load, by which a backbone shows what it is.
namespace cachectl::model {

constexpr std::int64_t kTrialRows = 3;  // 2 is the other size

// `rows` rows made of the given ones; repeated ones are scaled so that rows differ.
Tensors with_rows(const Tensors& inputs, std::int64_t rows);

// Largest difference in units of the larger tensor's scale.
double distance(const at::Tensor& a, const at::Tensor& b);
// How far a row's answers may be apart when only the batch around it differs.
double row_tolerance(const BackboneOptions& options);

// Two batch sizes must work, the output must be a classifier's, and a row's answer its own:
// else Error (incompatible).
void require_classifier(const GraphPtr& graph, const Tensors& example,
                        const BackboneOptions& options);

// All that the file's own forward gives for several samples, and for one.
std::vector<Tensors> answers_of(const Frozen& frozen, const Tensors& example,
                                const BackboneOptions& options);
// What runs must answer as the file's own forward did, of whose tensors one is the answer: else
// Error (incompatible).
void require_same(const std::vector<Tensors>& original, const SegmentChain& chain,
                  const Tensors& example, const BackboneOptions& options);

}  // namespace cachectl::model
