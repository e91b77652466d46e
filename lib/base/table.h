#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace cachectl {

// A table for a person at a terminal: numbers to the right, words to the left.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : header_(std::move(header)) {}
  void add(std::vector<std::string> row);  // as many cells as the header
  void print(std::ostream& out) const;

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace cachectl
