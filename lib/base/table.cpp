#include "base/table.h"

#include <algorithm>
#include <cassert>
#include <cctype>
#include <ostream>

namespace cachectl {
namespace {

// Characters, not bytes: UTF-8's continuation bytes take no place.
std::size_t width_of(const std::string& cell) {
  return static_cast<std::size_t>(
      std::count_if(cell.begin(), cell.end(), [](unsigned char c) { return (c & 0xC0) != 0x80; }));
}

bool starts_like_number(const std::string& cell) {
  if (cell.empty() || cell == "-") return true;
  const auto first =
      static_cast<unsigned char>(cell[0] == '-' || cell[0] == '+' ? cell[1] : cell[0]);
  return std::isdigit(first) != 0;
}

}  // namespace

void Table::add(std::vector<std::string> row) {
  assert(row.size() == header_.size());
  rows_.push_back(std::move(row));
}

void Table::print(std::ostream& out) const {
  const std::size_t columns = header_.size();
  std::vector<std::size_t> widths(columns);
  std::vector<bool> right(columns, true);
  for (std::size_t c = 0; c < columns; ++c) {
    widths[c] = width_of(header_[c]);
    for (const auto& row : rows_) {
      widths[c] = std::max(widths[c], width_of(row[c]));
      right[c] = right[c] && starts_like_number(row[c]);
    }
  }
  const auto print_row = [&](const std::vector<std::string>& row) {
    std::string line;
    for (std::size_t c = 0; c < columns; ++c) {
      const std::string padding(widths[c] - width_of(row[c]), ' ');
      line += right[c] ? padding + row[c] : row[c] + padding;
      if (c + 1 < columns) line += "  ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out << line << '\n';
  };
  print_row(header_);
  for (const auto& row : rows_) print_row(row);
}

}  // namespace cachectl
