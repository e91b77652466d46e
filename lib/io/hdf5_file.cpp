#include "io/hdf5_calls.h"
#include "io/seal.h"

namespace cachectl::io {
namespace {

// Closing a file that is written closes what is still open in it: its bytes are final then,
// and seal() may count on them.
Handle access_to_write() {
  Handle access = wrap(H5Pcreate(H5P_FILE_ACCESS));
  H5Pset_fclose_degree(access.id(), H5F_CLOSE_STRONG);
  return access;
}

Handle open_file(const std::filesystem::path& path, unsigned flags, hid_t access) {
  const Call call;
  // Fail on the system's word first: HDF5's is harder to read.
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    fail(ExitCode::kCannotOpen, "{}: no such file", path.string());
  }
  if (std::filesystem::is_directory(path, error)) {
    fail(ExitCode::kCannotOpen, "{}: is a folder, expected an HDF5 file", path.string());
  }
  if (H5Fis_hdf5(path.c_str()) == 0) fail(kBad, "{}: is no HDF5 file", path.string());
  const hid_t id = H5Fopen(path.c_str(), flags, access);
  if (id < 0) {
    const bool damaged = H5Fis_hdf5(path.c_str()) > 0;
    fail(damaged ? kBad : ExitCode::kCannotOpen, "{}: cannot open: {}", path.string(),
         library_reason());
  }
  return wrap(id);
}

Handle open_root(const Handle& file, const std::string& path) {
  const Call call;
  return checked(H5Gopen2(file.id(), "/", H5P_DEFAULT), kBad, path, "has no root group");
}

}  // namespace

File::File(Handle handle, std::filesystem::path path)
    : handle_(std::move(handle)),
      path_(std::move(path)),
      root_(open_root(handle_, path_.string()), path_.string() + ": /") {}

File File::create(const std::filesystem::path& path) {
  const Call call;
  const Handle properties = wrap(H5Pcreate(H5P_FILE_CREATE));
  set_up_group(properties.id());
  H5Pset_userblock(properties.id(), kSealBytes);
  // From format 1.10 on all metadata has checksums: damage is an error and no crash.
  const Handle access = access_to_write();
  H5Pset_libver_bounds(access.id(), H5F_LIBVER_V110, H5F_LIBVER_V110);
  const hid_t id = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, properties.id(), access.id());
  if (id < 0) {
    fail(ExitCode::kCannotOpen, "{}: cannot create: {}", path.string(), library_reason());
  }
  return File(wrap(id), path);
}

File File::open(const std::filesystem::path& path) {
  return File(open_file(path, H5F_ACC_RDONLY, H5P_DEFAULT), path);
}

File File::open_to_write(const std::filesystem::path& path) {
  const Call call;
  return File(open_file(path, H5F_ACC_RDWR, access_to_write().id()), path);
}

void File::flush() {
  const Call call;
  check(H5Fflush(handle_.id(), H5F_SCOPE_GLOBAL), kWrite, path_.string(),
        "cannot write (is the disk full?)");
}

void File::close() {
  flush();
  root_ = Group(Handle(), path_.string() + ": /");
  handle_ = Handle();
}

}  // namespace cachectl::io
