#pragma once

#include <cstdint>
#include <vector>

// Kernels are made for a number of rows. A batch runs as pieces of few different sizes, so that few
// kernels do for all batches.
namespace cachectl::model {

// How many of the `left` rows the next call takes: up to 16 all of them, else 64, 32 or 16. Each
// call costs as much as a good part of a row, so that few of them count most in small batches.
std::int64_t next_piece(std::int64_t left);

// Every size that a batch of up to `largest` rows can have a piece of, ascending.
std::vector<std::int64_t> pieces_up_to(std::int64_t largest);

}  // namespace cachectl::model
