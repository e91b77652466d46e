#pragma once

#include <sys/stat.h>

#include <string>
#include <tuple>

namespace cachectl::serve {

// Tells one state of a file from another: device, inode, size, time of the last change.
using FileState = std::tuple<dev_t, ino_t, off_t, time_t, long>;

inline FileState state_of(const std::string& path) {  // all zero: there is no such file
  struct stat found = {};
  if (stat(path.c_str(), &found) != 0) return {};
  return {found.st_dev, found.st_ino, found.st_size, found.st_mtim.tv_sec, found.st_mtim.tv_nsec};
}

}  // namespace cachectl::serve
