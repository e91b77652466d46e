#include "base/hash.h"

#include <openssl/evp.h>

#include <array>
#include <cassert>
#include <fstream>
#include <vector>

#include "base/error.h"

namespace cachectl {

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  [[maybe_unused]] const int ok = EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr);
  assert(ok == 1);
}
Sha256::~Sha256() = default;

Sha256& Sha256::update(const void* data, std::size_t size) {
  EVP_DigestUpdate(state_->context, data, size);
  return *this;
}

Sha256& Sha256::update(std::string_view text) {
  update(static_cast<std::uint64_t>(text.size()));
  return update(text.data(), text.size());
}

Sha256& Sha256::update(std::uint64_t value) {
  std::array<unsigned char, 8> little_endian;
  for (std::size_t i = 0; i < 8; ++i)
    little_endian[i] = static_cast<unsigned char>(value >> (8 * i));
  return update(little_endian.data(), little_endian.size());
}

std::string Sha256::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  EVP_DigestFinal_ex(state_->context, digest.data(), &size);
  std::string text;
  for (unsigned int i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

std::string sha256_of_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(ExitCode::kCannotOpen, "{}: cannot open: {}", path.string(), errno_text());
  Sha256 hash;
  std::vector<char> buffer(1 << 20);
  while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) ||
         file.gcount() > 0) {
    hash.update(buffer.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (file.bad()) fail(ExitCode::kCannotOpen, "{}: cannot read: {}", path.string(), errno_text());
  return hash.hex();
}

}  // namespace cachectl
