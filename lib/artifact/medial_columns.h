#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/hdf5.h"
#include "io/positioned_file.h"

// Rows of a data set that may lie in several files, read quickly: where the bytes have a
// fixed place in their file they are read past HDF5, by as many threads as like to.
namespace cachectl::artifact {

class Column {
 public:
  Column(io::DType dtype, std::int64_t row_values)
      : dtype_(dtype), row_bytes_(row_values * static_cast<std::int64_t>(io::size_of(dtype))) {}

  // Appends the rows of a data set; file: the same file, open to read.
  void add(const io::Dataset& data, std::shared_ptr<const io::PositionedFile> file);

  io::DType dtype() const { return dtype_; }
  std::int64_t row_bytes() const { return row_bytes_; }
  std::int64_t rows() const { return rows_; }
  // Rows in any order, also repeated, one after the other into `out`.
  void read(const std::vector<std::int64_t>& rows, void* out) const;

 private:
  struct Extent {
    std::int64_t first = 0, rows = 0;  // in the column
    io::Dataset data;
    std::shared_ptr<const io::PositionedFile> file;
    std::optional<std::int64_t> offset;
    std::int64_t rows_per_chunk = 0;
  };
  const Extent& extent_of(std::int64_t row) const;
  // Rows [first, first + count) of the column, all in this extent.
  void read_run(const Extent& extent, std::int64_t first, std::int64_t count, void* out) const;

  io::DType dtype_;
  std::int64_t row_bytes_, rows_ = 0;
  std::vector<Extent> extents_;
};

}  // namespace cachectl::artifact
