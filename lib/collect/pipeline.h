#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "artifact/medial_writer.h"
#include "collect/collect.h"
#include "collect/input_stream.h"
#include "collect/planning.h"
#include "model/backbone.h"

namespace cachectl::collect {

// Runs the backbone over the rows that `writer` has not yet, with all its layers cut, and
// writes them. Reading, computing and writing overlap; memory is bounded by a few blocks.
// Throws Error(kCorrupt) that names layer and sample for activations that are NaN or
// infinite (also by the stored dtype's range) and for a PD that is no distribution.
Timings record_rows(const model::Backbone& backbone, InputStream& inputs,
                    artifact::MedialWriter& writer, const data::Dataset& dataset);

// Encodes the first rows only, to know what a collection will be like: the range of each
// layer's channels becomes the scale of int8 layers; returns compressed size / stored size
// where deflate asks for it, else 1. rows: how many to look at.
double probe(const model::Backbone& backbone, InputStream& inputs, std::int64_t rows,
             std::int64_t rows_per_block, int deflate, bool set_scales,
             std::vector<artifact::MedialLayer>& layers);

}  // namespace cachectl::collect
