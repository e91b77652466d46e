#include "io/hdf5_calls.h"

#include <algorithm>

namespace cachectl::io {
namespace {

std::recursive_mutex& library_mutex() {
  static std::recursive_mutex mutex;
  return mutex;
}

int close_any(std::int64_t id) {
  const Call call;
  switch (H5Iget_type(id)) {
    case H5I_FILE:
      return H5Fclose(id);
    case H5I_GROUP:
      return H5Gclose(id);
    case H5I_DATASET:
      return H5Dclose(id);
    case H5I_DATATYPE:
      return H5Tclose(id);
    case H5I_DATASPACE:
      return H5Sclose(id);
    case H5I_ATTR:
      return H5Aclose(id);
    default:
      return H5Pclose(id);
  }
}

}  // namespace

Call::Call() : lock_(library_mutex()) {
  [[maybe_unused]] static const bool silenced = [] {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    return true;
  }();
}

Handle wrap(hid_t id) {
  return Handle(id, close_any);
}

std::string library_reason() {
  std::string reason;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned, const H5E_error2_t* error, void* out) -> herr_t {
        auto& text = *static_cast<std::string*>(out);
        if (text.empty() && error->desc != nullptr) text = error->desc;
        return 0;
      },
      &reason);
  return reason.empty() ? "HDF5 gives no reason" : reason;
}

Handle checked(hid_t id, ExitCode code, const std::string& where, const char* what) {
  if (id < 0) fail(code, "{}: {}: {}", where, what, library_reason());
  return wrap(id);
}

void check(herr_t status, ExitCode code, const std::string& where, const char* what) {
  if (status < 0) fail(code, "{}: {}: {}", where, what, library_reason());
}

// HDF5 1.10 may free wild pointers when the other place of attributes, a heap, is damaged.
constexpr unsigned kMostInHeader = 65535;

void set_up_object(hid_t properties) {
  H5Pset_obj_track_times(properties, false);
  H5Pset_attr_phase_change(properties, kMostInHeader, 0);
}

void set_up_group(hid_t properties) {
  set_up_object(properties);
  H5Pset_link_phase_change(properties, kMostInHeader, 0);
}

std::vector<hsize_t> sizes_of(const Shape& shape) {
  return {shape.begin(), shape.end()};
}

Handle space_of(const Shape& shape) {
  const auto sizes = sizes_of(shape);
  return wrap(shape.empty() ? H5Screate(H5S_SCALAR)
                            : H5Screate_simple(int(sizes.size()), sizes.data(), nullptr));
}

Shape shape_of_space(hid_t space) {
  const int rank = H5Sget_simple_extent_ndims(space);
  std::vector<hsize_t> sizes(static_cast<std::size_t>(std::max(rank, 0)));
  H5Sget_simple_extent_dims(space, sizes.data(), nullptr);
  return {sizes.begin(), sizes.end()};
}

std::int64_t values_in(const Shape& shape, std::size_t from) {
  std::int64_t values = 1;
  for (std::size_t axis = from; axis < shape.size(); ++axis) values *= shape[axis];
  return values;
}

struct Handle::State {
  State(std::int64_t open_id, int (*close_it)(std::int64_t)) : id(open_id), close(close_it) {}
  ~State() {
    if (id >= 0) close(id);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  const std::int64_t id;
  int (*const close)(std::int64_t);
};

Handle::Handle(std::int64_t id, int (*close)(std::int64_t))
    : state_(std::make_shared<State>(id, close)) {}

std::int64_t Handle::id() const {
  return state_ ? state_->id : -1;
}

}  // namespace cachectl::io
