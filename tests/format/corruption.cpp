#include "format/corruption.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "io/artifact.h"
#include "io/seal.h"
#include "support/reseal.h"
#include "support/scratch.h"

namespace cachectl::format_test {
namespace {

using io::DType;

// Under a sanitizer every reading costs tenths of a second: a third of the objects' damages.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t kStep = 3;
#else
constexpr std::size_t kStep = 1;
#endif

// One change to a file, with a name for messages. Damage whose hash was made to fit, or to
// values that are hashed only on demand, may pass; it must not crash.
struct Damage {
  std::string name;
  std::function<void(const std::string& path)> apply;
  bool must_fail = true;
};

bool is_float(DType dtype) {
  return dtype == DType::kFloat32 || dtype == DType::kFloat64;
}

// Calls visit(parent group's path, name, dataset path) for every data set below.
void walk(const io::Group& group, const std::string& prefix,
          const std::function<void(const std::string&, bool is_group)>& visit) {
  for (const auto& name : group.children()) {
    const std::string path = prefix + "/" + name;
    const bool below = group.is_group(name);
    visit(path, below);
    if (below) walk(group.group(name), path, visit);
  }
}

Damage edit(const std::string& name, const std::function<void(io::Group&)>& change) {
  return {name, [change](const std::string& path) {
            io::File file = io::File::open_to_write(path);
            change(file.root());
            file.close();
            io::seal(path);
          }};
}

// The same damage, with the header's hash made to fit what is left.
Damage sealed(const Damage& damage) {
  return {damage.name + ", sealed again",
          [damage](const std::string& path) {
            damage.apply(path);
            reseal(path);
          },
          false};
}

void add_attribute_damages(const io::Object& object, const std::string& path,
                           std::vector<Damage>& damages) {
  for (const auto& name : object.attributes()) {
    damages.push_back(edit("without " + path + "@" + name, [path, name](io::Group& root) {
      if (path == "/") {
        root.remove_attribute(name);
      } else if (root.is_group(path)) {
        root.group(path).remove_attribute(name);
      } else {
        root.dataset(path).remove_attribute(name);
      }
    }));
  }
}

void add_dataset_damages(const io::Dataset& data, const std::string& path,
                         std::vector<Damage>& damages) {
  damages.push_back(edit("without " + path, [path](io::Group& root) { root.remove(path); }));
  if (data.is_text()) {
    damages.push_back(edit(path + " as numbers", [path](io::Group& root) {
      root.remove(path);
      root.write<double>(path, {1, 2, 3});
    }));
    return;
  }
  const io::Shape shape = data.shape();
  const DType dtype = data.dtype();
  damages.push_back(edit(path + " of another type", [path, shape, dtype](io::Group& root) {
    root.remove(path);
    root.create_dataset(path, dtype == DType::kInt64 ? DType::kFloat32 : DType::kInt64, shape);
  }));
  damages.push_back(edit(path + " with one more axis", [path, shape, dtype](io::Group& root) {
    io::Shape other = shape;
    other.push_back(2);
    root.remove(path);
    root.create_dataset(path, dtype, other);
  }));
  if (is_float(dtype) && data.rows() > 0 && data.row_values() > 0) {
    damages.push_back(edit(path + " with a NaN", [path](io::Group& root) {
      io::Dataset broken = root.dataset(path);
      const auto width = broken.row_values() * static_cast<std::int64_t>(size_of(broken.dtype()));
      std::vector<char> row(static_cast<std::size_t>(width));
      broken.read_rows(0, 1, row.data());
      if (broken.dtype() == DType::kFloat32) {
        *reinterpret_cast<float*>(row.data()) = std::numeric_limits<float>::quiet_NaN();
      } else {
        *reinterpret_cast<double*>(row.data()) = std::numeric_limits<double>::quiet_NaN();
      }
      broken.write_rows(0, 1, row.data());
    }));
  }
}

std::vector<Damage> byte_damages(const std::string& valid, bool has_bulk) {
  const auto size = std::filesystem::file_size(valid);
  std::vector<Damage> damages;
  damages.push_back({"empty", [](const std::string& p) { std::filesystem::resize_file(p, 0); }});
  for (const double share : {0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99}) {
    const auto kept = static_cast<std::uintmax_t>(share * static_cast<double>(size));
    damages.push_back({"cut to " + std::to_string(kept) + " bytes",
                       [kept](const std::string& p) { std::filesystem::resize_file(p, kept); }});
  }
  damages.push_back(
      {"text", [](const std::string& p) { std::ofstream(p) << "no file of ours\n"; }});
  Rng rng(7);
  for (int i = 0; i < 256; ++i) {
    const auto at = rng.below(size);
    damages.push_back({"byte " + std::to_string(at) + " overwritten",
                       [at](const std::string& p) {
                         std::fstream file(p, std::ios::in | std::ios::out | std::ios::binary);
                         file.seekg(static_cast<std::streamoff>(at));
                         const auto before = static_cast<unsigned char>(file.get());
                         file.seekp(static_cast<std::streamoff>(at));
                         file.put(static_cast<char>(before ^ 0xA5));
                       },
                       !has_bulk});
  }
  return damages;
}

std::vector<Damage> object_damages(const std::string& valid) {
  std::vector<Damage> damages;
  const io::File file = io::File::open(valid);
  add_attribute_damages(file.root(), "/", damages);
  walk(file.root(), "", [&](const std::string& path, bool is_group) {
    if (is_group) {
      add_attribute_damages(file.root().group(path), path, damages);
      damages.push_back(edit("without " + path, [path](io::Group& root) { root.remove(path); }));
    } else {
      add_attribute_damages(file.root().dataset(path), path, damages);
      add_dataset_damages(file.root().dataset(path), path, damages);
    }
  });
  return damages;
}

// What reading the damaged file came to: nothing to say, or why that is wrong.
std::string verdict(const Kind& kind, const Damage& damage, const std::string& path) {
  try {
    kind.read(path);
    return damage.must_fail ? "was read without complaint" : "";
  } catch (const Error& error) {
    const int code = static_cast<int>(error.code());
    if (code < 3 || code > 5) return fmt::format("exit code {}: {}", code, error.what());
    const bool named = std::string(error.what()).find(path) != std::string::npos;
    return named ? "" : fmt::format("does not name the file: {}", error.what());
  } catch (const std::exception& other) {
    return fmt::format("not an Error: {:.300}", other.what());
  }
}

}  // namespace

int expect_all_refused(const Kind& kind) {
  const Scratch scratch;
  const std::string valid = scratch.path("valid.h5"), broken = scratch.path("broken.h5");
  kind.build(valid);
  EXPECT_NO_THROW(kind.read(valid)) << kind.name;
  auto damages = byte_damages(valid, kind.has_bulk);
  const auto objects = object_damages(valid);
  for (std::size_t i = 0; i < objects.size(); i += kStep) {
    damages.push_back(objects[i]);
    damages.push_back(sealed(objects[i]));
  }
  for (const auto& damage : damages) {
    std::filesystem::copy_file(valid, broken, std::filesystem::copy_options::overwrite_existing);
    damage.apply(broken);
    EXPECT_EQ(verdict(kind, damage, broken), "") << kind.name << ": " << damage.name;
  }
  return static_cast<int>(damages.size());
}

}  // namespace cachectl::format_test
