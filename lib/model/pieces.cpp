#include "model/pieces.h"

namespace cachectl::model {

namespace {

constexpr std::int64_t kExactPieces = 16;   // rows: up to here each number is a piece
constexpr std::int64_t kLargestPiece = 64;  // kExactPieces times a power of two

}  // namespace

std::int64_t next_piece(std::int64_t left) {
  if (left <= kExactPieces) return left;
  std::int64_t piece = kLargestPiece;
  while (piece > left) piece /= 2;
  return piece;
}

std::vector<std::int64_t> pieces_up_to(std::int64_t largest) {
  std::vector<std::int64_t> pieces;
  for (std::int64_t rows = 1; rows <= largest && rows <= kLargestPiece; ++rows) {
    if (next_piece(rows) == rows) pieces.push_back(rows);
  }
  return pieces;
}

}  // namespace cachectl::model
