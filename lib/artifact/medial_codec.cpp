#include "artifact/medial_codec.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "data/scalar_type.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace cachectl::artifact {
namespace {

// Converts and tells whether any result is infinite or no number. The exponent of
// such a half is all ones.
bool to_half_portable(const float* from, std::uint16_t* to, std::int64_t count) {
  bool bad = false;
  for (std::int64_t i = 0; i < count; ++i) {
    to[i] = c10::Half(from[i]).x;
    bad = bad || (to[i] & 0x7c00) == 0x7c00;
  }
  return bad;
}

#if defined(__x86_64__)
// F16C by its bit: some compilers can't ask for it by name.
bool has_avx2_and_f16c() {
  static const bool has = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __builtin_cpu_supports("avx2") && __get_cpuid(1, &a, &b, &c, &d) != 0 &&
           (c & bit_F16C) != 0;
  }();
  return has;
}

__attribute__((target("avx2,f16c"))) bool to_half_f16c(const float* from, std::uint16_t* to,
                                                       std::int64_t count) {
  const __m128i exponent = _mm_set1_epi16(0x7c00);
  __m128i bad = _mm_setzero_si128();
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i half =
        _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    bad = _mm_or_si128(bad, _mm_cmpeq_epi16(_mm_and_si128(half, exponent), exponent));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), half);
  }
  const bool tail = to_half_portable(from + i, to + i, count - i);
  return tail || _mm_movemask_epi8(bad) != 0;
}

__attribute__((target("avx2,f16c"))) void from_half_f16c(const std::uint16_t* from, float* to,
                                                         std::int64_t count) {
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    _mm256_storeu_ps(to + i,
                     _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i))));
  }
  for (; i < count; ++i) to[i] = c10::Half(from[i], c10::Half::from_bits());
}

__attribute__((target("avx2"))) bool any_bad_avx2(const float* values, std::int64_t count) {
  const __m256i exponent = _mm256_set1_epi32(0x7f800000);
  __m256i bad = _mm256_setzero_si256();
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(values + i));
    bad = _mm256_or_si256(bad, _mm256_cmpeq_epi32(_mm256_and_si256(bits, exponent), exponent));
  }
  bool tail = false;
  for (; i < count; ++i) tail = tail || !std::isfinite(values[i]);
  return tail || _mm256_movemask_epi8(bad) != 0;
}
#endif

bool to_half(const float* from, std::uint16_t* to, std::int64_t count) {
#if defined(__x86_64__)
  if (has_avx2_and_f16c()) return to_half_f16c(from, to, count);
#endif
  return to_half_portable(from, to, count);
}

void from_half(const std::uint16_t* from, float* to, std::int64_t count) {
#if defined(__x86_64__)
  if (has_avx2_and_f16c()) return from_half_f16c(from, to, count);
#endif
  for (std::int64_t i = 0; i < count; ++i) to[i] = c10::Half(from[i], c10::Half::from_bits());
}

bool any_bad(const float* values, std::int64_t count) {
#if defined(__x86_64__)
  if (has_avx2_and_f16c()) return any_bad_avx2(values, count);
#endif
  for (std::int64_t i = 0; i < count; ++i) {
    if (!std::isfinite(values[i])) return true;
  }
  return false;
}

// The elementwise work needs the same order of values on both sides, whatever it is.
bool is_dense(const at::Tensor& tensor) {
  return tensor.is_non_overlapping_and_dense();
}

bool convert_half(const at::Tensor& activation, at::Tensor& out) {
  const at::Tensor source = activation.scalar_type() == at::kFloat && is_dense(activation)
                                ? activation
                                : activation.to(at::kFloat).contiguous();
  const bool same_order = source.is_contiguous();
  // Another memory format: converted in its own order first, since halves move cheaper.
  at::Tensor target = same_order ? out : at::empty_like(source, source.options().dtype(at::kHalf));
  const float* from = source.data_ptr<float>();
  auto* to = reinterpret_cast<std::uint16_t*>(target.data_ptr<at::Half>());
  const bool bad = to_half(from, to, source.numel());
  if (!same_order) out.copy_(target);
  return bad;
}

bool has_bad(const at::Tensor& activation) {
  const at::Tensor source = activation.scalar_type() == at::kFloat && is_dense(activation)
                                ? activation
                                : activation.to(at::kFloat).contiguous();
  return any_bad(source.data_ptr<float>(), source.numel());
}

// [1, .., channels, .., 1], to be spread over [n, ...shape].
at::Tensor per_channel(const std::vector<float>& values, const MedialLayer& layer) {
  std::vector<std::int64_t> sizes(layer.shape.size() + 1, 1);
  if (!layer.shape.empty()) sizes[static_cast<std::size_t>(layer.channel_axis) + 1] = -1;
  return at::tensor(values).view(sizes);
}

BadValue find_bad(const at::Tensor& activation, const at::Tensor& stored) {
  const at::Tensor wide = activation.to(at::kFloat).contiguous();
  const at::Tensor bad = at::logical_or(at::logical_not(at::isfinite(wide)),
                                        at::logical_not(at::isfinite(stored.to(at::kFloat))));
  const std::int64_t where = bad.view({-1}).to(at::kByte).argmax().item<std::int64_t>();
  return {where / std::max<std::int64_t>(1, wide.numel() / wide.size(0)),
          wide.view({-1})[where].item<float>()};
}

}  // namespace

at::ScalarType scalar_type_of(io::DType dtype) {
  for (const auto fit :
       {io::DType::kFloat32, io::DType::kFloat16, io::DType::kBFloat16, io::DType::kInt8}) {
    if (dtype == fit) return *data::scalar_type_of(dtype);
  }
  fail(ExitCode::kUsage,
       "activations can't be stored as {}; expected float32, float16, bfloat16 or int8",
       io::name_of(dtype));
}

std::optional<BadValue> encode(const at::Tensor& activation, const MedialLayer& layer,
                               at::Tensor& out, std::int64_t& clipped) {
  assert(out.is_contiguous() && out.sizes() == activation.sizes());
  assert(out.scalar_type() == scalar_type_of(layer.stored));
  if (activation.numel() == 0) return std::nullopt;
  if (layer.stored == io::DType::kFloat16) {
    if (convert_half(activation, out)) return find_bad(activation, out);
    return std::nullopt;
  }
  if (has_bad(activation)) return find_bad(activation, activation);
  if (layer.stored == io::DType::kInt8) {
    at::Tensor level = activation.to(at::kFloat) - per_channel(layer.offset, layer);
    level.div_(per_channel(layer.scale, layer)).round_();
    clipped += level.abs().gt(127).sum().item<std::int64_t>();
    out.copy_(level.clamp_(-127, 127));
    return std::nullopt;
  }
  out.copy_(activation);
  // The largest floats round to infinity as bfloat16.
  if (layer.stored == io::DType::kBFloat16 && has_bad(out)) return find_bad(activation, out);
  return std::nullopt;
}

at::Tensor decode(const at::Tensor& stored, const MedialLayer& layer) {
  if (layer.stored == io::DType::kFloat32) return stored;
  at::Tensor values = stored.to(at::kFloat);
  if (layer.stored == io::DType::kInt8) {
    values.mul_(per_channel(layer.scale, layer)).add_(per_channel(layer.offset, layer));
  }
  return values;
}

namespace {

// `count` values from position `first` of a row on, as float32.
void widen(const void* stored, const MedialLayer& layer, std::int64_t first, std::int64_t count,
           float* out) {
  switch (layer.stored) {
    case io::DType::kFloat32:
      std::memcpy(out, static_cast<const float*>(stored) + first,
                  static_cast<std::size_t>(count) * sizeof(float));
      return;
    case io::DType::kFloat16:
      from_half(static_cast<const std::uint16_t*>(stored) + first, out, count);
      return;
    case io::DType::kBFloat16: {
      const auto* from = static_cast<const std::uint16_t*>(stored) + first;
      auto* bits = reinterpret_cast<std::uint32_t*>(out);
      for (std::int64_t i = 0; i < count; ++i) bits[i] = std::uint32_t{from[i]} << 16;
      return;
    }
    default: {
      assert(layer.stored == io::DType::kInt8);
      // Values behind the channel's axis share one channel.
      std::int64_t inner = 1, channels = 1;
      for (std::size_t axis = 0; axis < layer.shape.size(); ++axis) {
        if (std::int64_t(axis) == layer.channel_axis) channels = layer.shape[axis];
        if (std::int64_t(axis) > layer.channel_axis) inner *= layer.shape[axis];
      }
      const auto* from = static_cast<const std::int8_t*>(stored);
      for (std::int64_t i = first; i < first + count;) {
        const auto channel = static_cast<std::size_t>(i / inner % channels);
        const std::int64_t end = std::min(first + count, (i / inner + 1) * inner);
        for (; i < end; ++i) {
          out[i - first] = float(from[i]) * layer.scale[channel] + layer.offset[channel];
        }
      }
    }
  }
}

}  // namespace

void decode_row(const void* stored, const MedialLayer& layer, float* out) {
  widen(stored, layer, 0, layer.values(), out);
}

void decode_row(const void* stored, const MedialLayer& layer, at::BFloat16* out) {
  if (layer.stored == io::DType::kBFloat16) {
    std::memcpy(out, stored, static_cast<std::size_t>(layer.row_bytes()));
    return;
  }
  constexpr std::int64_t kStep = 1024;
  float wide[kStep];
  for (std::int64_t first = 0; first < layer.values(); first += kStep) {
    const std::int64_t count = std::min(kStep, layer.values() - first);
    widen(stored, layer, first, count, wide);
    for (std::int64_t i = 0; i < count; ++i) out[first + i] = at::BFloat16(wide[i]);
  }
}

std::pair<at::Tensor, at::Tensor> activation_range(const at::Tensor& activation,
                                                   const MedialLayer& layer) {
  at::Tensor wide = activation.to(at::kFloat);
  if (layer.shape.empty()) return {wide.min().view({1}), wide.max().view({1})};
  wide = wide.movedim(layer.channel_axis + 1, 0).reshape({layer.shape[layer.channel_axis], -1});
  return {wide.amin(1), wide.amax(1)};
}

void set_scale(MedialLayer& layer, const at::Tensor& low, const at::Tensor& high) {
  const at::Tensor bottom = low.contiguous(), top = high.contiguous();
  layer.scale.clear();
  layer.offset.clear();
  for (std::int64_t c = 0; c < bottom.numel(); ++c) {
    const float from = bottom.data_ptr<float>()[c], to = top.data_ptr<float>()[c];
    layer.offset.push_back(from / 2 + to / 2);
    layer.scale.push_back(to > from ? to / 254 - from / 254 : 1);
  }
}

}  // namespace cachectl::artifact
