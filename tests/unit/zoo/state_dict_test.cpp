#include "zoo/state_dict.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/pickle.h>

#include <unistd.h>

#include <cstring>
#include <fstream>

#include "base/error.h"
#include "support/expect_error.h"
#include "support/scratch.h"

namespace cachectl::zoo {
namespace {

using testing::HasSubstr;

std::string le64(std::uint64_t value) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &value, 8);
  return bytes;
}

std::string safetensors(const std::string& header, const std::string& data) {
  return le64(header.size()) + header + data;
}

// The error that reading these bytes gives: its code and text.
class Reading : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& bytes) {
    const auto path = folder_.folder() / "weights";
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  void expect_refused(const std::string& bytes, const std::string& message,
                      ExitCode code = ExitCode::kCorrupt) {
    const auto path = write(bytes);
    expect_error([&] { read_state_dict(path); }, code, message);
    expect_error([&] { read_state_dict(path); }, code, path.string());
  }
  Scratch folder_;
};

using Safetensors = Reading;

TEST_F(Safetensors, ReadBackWhatWasWritten) {
  StateDict tensors;
  tensors["a"] = at::randn({3, 2});
  tensors["b"] = at::randn({5}).to(at::kHalf);
  tensors["c"] = at::randn({2, 2, 2}).to(at::kBFloat16);
  tensors["d"] = at::tensor(std::int64_t{42});
  tensors["e"] = at::randn({4}).to(at::kDouble);
  tensors["f"] = at::zeros({0, 3});
  const auto path = folder_.folder() / "t.safetensors";
  write_safetensors(path, tensors, {{"epoch", "3"}});
  std::map<std::string, std::string> metadata;
  const StateDict read = read_safetensors(path, &metadata);
  ASSERT_EQ(read.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    ASSERT_EQ(read.count(name), 1U) << name;
    EXPECT_EQ(read.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(at::equal(read.at(name), tensor)) << name;
  }
  EXPECT_EQ(metadata.at("epoch"), "3");
}

TEST_F(Safetensors, AreReadAsTheFormatSays) {
  const float values[] = {1.5F, -2};
  const std::string data(reinterpret_cast<const char*>(values), sizeof values);
  const auto path =
      write(safetensors(R"({"w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}}   )", data));
  const StateDict read = read_state_dict(path);
  EXPECT_TRUE(at::equal(read.at("w"), at::tensor({1.5F, -2.0F}).reshape({2, 1})));
}

TEST_F(Safetensors, AreRefusedWhereTheyAreDamaged) {
  const std::string data(8, '\0');
  const auto one = [&](const std::string& entry) {
    return safetensors("{\"w\":" + entry + "}", data);
  };
  expect_refused("", "empty");
  expect_refused("abc", "neither safetensors nor");
  expect_refused(le64(1000) + "{}", "beyond the file's end");
  expect_refused(le64(std::uint64_t{1} << 62) + "{}", "no safetensors file has more");
  expect_refused(le64(~std::uint64_t{0}) + "{}", "no safetensors file has more");
  expect_refused(safetensors("{\"w\":", data), "no JSON");
  expect_refused(safetensors("{" + std::string(100000, '['), data), "no JSON");
  expect_refused(safetensors("{\"w\": \xff}", data), "no JSON");
  expect_refused(one("3"), "expected an object");
  expect_refused(one(R"({"dtype":"F32","shape":[2]})"), "expected an object");
  expect_refused(one(R"({"dtype":7,"shape":[2],"data_offsets":[0,8]})"), "dtype is no text");
  expect_refused(one(R"({"dtype":"F8","shape":[2],"data_offsets":[0,8]})"), "dtype 'F8'");
  expect_refused(one(R"({"dtype":"F32","shape":2,"data_offsets":[0,8]})"), "shape is no list");
  expect_refused(one(R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})"), "whole number");
  expect_refused(one(R"({"dtype":"F32","shape":[2.0],"data_offsets":[0,8]})"), "whole number");
  expect_refused(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0]})"), "no pair");
  expect_refused(one(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})"), "lie outside");
  expect_refused(one(R"({"dtype":"F32","shape":[4],"data_offsets":[0,16]})"), "lie outside");
  expect_refused(one(R"({"dtype":"F32","shape":[1],"data_offsets":[0,8]})"), "span 8");
  expect_refused(one(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]})"),
                 "more elements");
  expect_refused(one(R"({"dtype":"F32","shape":[9223372036854775807,3],"data_offsets":[0,8]})"),
                 "more elements");
  expect_refused(one(R"({"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8]})"),
                 "whole number");
  expect_refused(safetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                             R"("b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                             data),
                 "inside the tensor before it");
  expect_refused(one(R"({"dtype":"F32","shape":[1],"data_offsets":[4,8]})"), "a hole");
  expect_refused(one(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})"), "belong to no tensor");
  expect_refused(safetensors(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                             R"("a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                             data),
                 "there twice");
  expect_refused(safetensors(R"({"__metadata__":[]})", ""), "__metadata__ is no object");
  expect_refused(safetensors(R"({"__metadata__":{"a":1}})", ""), "is no text");
}

TEST_F(Safetensors, AreNoCrashWhereverTheyAreCutOrFlipped) {
  const auto path = folder_.folder() / "t.safetensors";
  write_safetensors(path, {{"a", at::randn({3})}, {"b", at::randn({2, 2})}}, {{"k", "v"}});
  std::ifstream in(path, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(in)), {});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THROW(read_safetensors(write(whole.substr(0, size))), Error) << size;
  }
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string flipped = whole;
    flipped[i] = static_cast<char>(flipped[i] ^ (1 << (i % 8)));
    try {
      read_safetensors(write(flipped));
    } catch (const Error&) {
    }
  }
}

TEST_F(Safetensors, LeaveTheOldFileWhereTheNewOneCannotBeWritten) {
  const auto path = folder_.folder() / "t.safetensors";
  write_safetensors(path, {{"a", at::ones({3})}});
  std::filesystem::permissions(
      folder_.folder(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  const bool is_root = ::geteuid() == 0;  // who may write everywhere
  if (!is_root) {
    expect_error(
        [&] {
          write_safetensors(path, {{"a", at::zeros({3})}});
        },
        ExitCode::kCannotOpen, "t.safetensors");
    EXPECT_TRUE(at::equal(read_safetensors(path).at("a"), at::ones({3})));
  }
  std::filesystem::permissions(folder_.folder(), std::filesystem::perms::owner_all);
  expect_error([&] { write_safetensors(folder_.folder() / "none" / "t", {}); },
               ExitCode::kCannotOpen, "none/t");
  expect_error(
      [&] {
        write_safetensors(folder_.folder() / "i8", {{"a", at::zeros({1}, at::kChar)}});
      },
      ExitCode::kInternal, "no safetensors dtype");
}

// --- torch.save's formats ---

using TorchCheckpoint = Reading;

std::string saved_by_torch(const StateDict& tensors) {
  c10::impl::GenericDict dict(c10::StringType::get(), c10::TensorType::get());
  for (const auto& [name, tensor] : tensors) dict.insert(name, tensor);
  const std::vector<char> bytes = torch::jit::pickle_save(dict);
  return {bytes.begin(), bytes.end()};
}

TEST_F(TorchCheckpoint, IsReadAsLibTorchWritesIt) {
  StateDict tensors{{"a.weight", at::randn({3, 2})},
                    {"b", at::tensor(std::int64_t{7})},
                    {"c", at::randn({4, 3}).t()},
                    {"d", at::randn({10}).slice(0, 3, 7)}};
  const StateDict read = read_state_dict(write(saved_by_torch(tensors)));
  ASSERT_EQ(read.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) EXPECT_TRUE(at::equal(read.at(name), tensor)) << name;
}

TEST_F(TorchCheckpoint, IsRefusedWhereItIsCutOrFlipped) {
  const std::string whole = saved_by_torch({{"a", at::randn({3})}, {"b", at::randn({2, 2})}});
  for (std::size_t size = 0; size < whole.size(); size += 7) {
    EXPECT_THROW(read_state_dict(write(whole.substr(0, size))), Error) << size;
  }
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string flipped = whole;
    flipped[i] = static_cast<char>(flipped[i] ^ (1 << (i % 8)));
    try {
      for (const auto& [name, tensor] : read_state_dict(write(flipped))) tensor.sum();
    } catch (const Error&) {
    }
  }
}

TEST_F(TorchCheckpoint, IsRefusedWhenItIsAWholeModel) {
  Spec spec;
  spec.arch = "resnet8";
  std::ostringstream out;
  build(spec, 1).save(out);
  expect_refused(out.str(), "needs no import", ExitCode::kIncompatible);
}

// The format before torch 1.6, assembled by hand.
class LegacyCheckpoint : public Reading {
 protected:
  static std::string text(const std::string& value) {
    return "X" + le64(value.size()).substr(0, 4) + value;
  }
  static std::string integer(std::int32_t value) {
    return "J" + le64(static_cast<std::uint32_t>(value)).substr(0, 4);
  }
  static std::string pickled(const std::string& body) { return "\x80\x02" + body + "."; }
  static std::string tensor(const std::string& key, std::int32_t elements, std::int32_t offset,
                            const std::string& sizes, const std::string& strides,
                            const std::string& type = "FloatStorage") {
    return "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\n" + type + "\n" +
           text(key) + text("cpu") + integer(elements) + "NtQ" + integer(offset) + sizes + strides +
           "\x89" + "ccollections\nOrderedDict\n)RtR";
  }
  static std::string file(const std::string& object, const std::string& keys,
                          const std::string& storages) {
    const std::string magic("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 12);
    return pickled(magic) + pickled("M\xe9\x03") + pickled("}") + pickled(object) + pickled(keys) +
           storages;
  }
  std::string dict(const std::string& tensor) { return "}" + text("w") + tensor + "s"; }

  const float values_[4] = {1, 2, 3, 4};
  const std::string data_ =
      le64(4) + std::string(reinterpret_cast<const char*>(values_), sizeof values_);
  const std::string keys_ = "]" + text("7") + "a";
  const std::string two_by_two_ = integer(2) + integer(2) + "\x86";
  const std::string strides_ = integer(2) + integer(1) + "\x86";
};

TEST_F(LegacyCheckpoint, IsReadUnderTheUsualKeysToo) {
  const std::string weights = dict(tensor("7", 4, 0, two_by_two_, strides_));
  const at::Tensor expected = at::tensor({1.0F, 2.0F, 3.0F, 4.0F}).reshape({2, 2});
  EXPECT_TRUE(at::equal(read_state_dict(write(file(weights, keys_, data_))).at("w"), expected));
  const std::string nested = "}(" + text("best_prec1") + std::string("G\0\0\0\0\0\0\0\0", 9) +
                             text("state_dict") + weights + "u";
  EXPECT_TRUE(at::equal(read_state_dict(write(file(nested, keys_, data_))).at("w"), expected));
}

TEST_F(LegacyCheckpoint, ObjectsOfOtherClassesAreNeverConstructed) {
  // os.system("touch ...") as a pickle would have it; beside it, a sound tensor.
  const auto trace = folder_.folder() / "trace";
  const std::string attack = "cos\nsystem\n" + text("touch " + trace.string()) + "\x85R";
  const std::string object =
      "}(" + text("x") + attack + text("w") + tensor("7", 4, 0, two_by_two_, strides_) + "u";
  EXPECT_EQ(read_state_dict(write(file(object, keys_, data_))).size(), 1U);
  EXPECT_FALSE(std::filesystem::exists(trace));
  expect_refused(file(attack, "]", ""), "os system", ExitCode::kIncompatible);
}

TEST_F(LegacyCheckpoint, IsRefusedWhereItIsDamaged) {
  const auto with = [&](const std::string& tensor) { return file(dict(tensor), keys_, data_); };
  const std::string row = integer(4) + "\x85";
  const std::string unit = integer(1) + "\x85";
  expect_refused("\x80\x02K\x01.", "not one of torch.save");
  expect_refused("\x80\x02", "cut short");
  expect_refused("\x80\x02(.", "a value is missing");
  expect_refused("\x80\x02t.", "a mark is missing");
  expect_refused("\x80\x02h\x05.", "never remembered");
  expect_refused("\x80\x02X\xff\xff\xff\x7f.", "cut short");
  expect_refused("\x80\x02I1\n.", "opcode");
  expect_refused("\x80\x02K\x01K\x02s.", "a value is missing");
  expect_refused("\x80\x02K\x01K\x02K\x03s.", "neither list nor dict");
  expect_refused("\x80\x02}(K\x01u.", "key without a value");
  expect_refused(with(tensor("7", 5, 0, row, unit)), "expected 5");
  expect_refused(with(tensor("7", 4, 1, row, unit)), "reaches beyond");
  expect_refused(with(tensor("7", 4, -1, row, unit)), "don't fit together");
  expect_refused(with(tensor("7", 4, 0, integer(5) + "\x85", unit)), "more elements");
  expect_refused(with(tensor("7", 4, 0, integer(-4) + "\x85", unit)), "whole number");
  expect_refused(with(tensor("7", 4, 0, row, integer(2) + "\x85")), "reaches beyond");
  expect_refused(with(tensor("7", 4, 0, row, integer(2147483647) + "\x85")), "reaches beyond");
  expect_refused(with(tensor("7", 4, 0, row, strides_)), "don't fit together");
  expect_refused(with(tensor("8", 4, 0, row, unit)), "storage 7 belongs to no tensor");
  expect_refused(with(tensor("7", 4, 0, row, unit, "QuantStorage")), "no kind of storage");
  expect_refused(file("]", keys_, data_), "belongs to no tensor");
  expect_refused(file("]", "]", ""), "instead of a state dict", ExitCode::kIncompatible);
  expect_refused(file("}", "]", ""), "no tensor in it", ExitCode::kIncompatible);
  expect_refused(file(dict(tensor("7", 4, 0, row, unit)), "]", ""), "storage 7 is missing");
  expect_refused(file(dict(tensor("7", 4, 0, row, unit)), keys_, ""), "beyond the file's end");
  expect_refused(file(dict(tensor("7", 4, 0, row, unit)), keys_, data_.substr(0, 12)), "cut short");
  expect_refused(file(dict(tensor("7", 4, 0, row, unit)), keys_, le64(~std::uint64_t{0})),
                 "claims");
}

TEST_F(LegacyCheckpoint, IsNoCrashWhereverABitFlips) {
  const std::string whole = file(dict(tensor("7", 4, 0, two_by_two_, strides_)), keys_, data_);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string flipped = whole;
    flipped[i] = static_cast<char>(flipped[i] ^ (1 << (i % 8)));
    try {
      for (const auto& [name, value] : read_state_dict(write(flipped))) value.sum();
    } catch (const Error&) {
    }
  }
}

// --- filling a module ---

Spec resnet8() {
  Spec spec;
  spec.arch = "resnet8";
  return spec;
}

StateDict weights_of(const Spec& spec, std::uint64_t seed) {
  StateDict copy;
  const torch::jit::Module module = build(spec, seed);
  for (const auto& [name, tensor] : state_of(module)) copy[name] = tensor.detach().clone();
  return copy;
}

std::string refusal(const StateDict& tensors) {
  torch::jit::Module module = build_unfilled(resnet8());
  try {
    fill(module, tensors, "w.pth");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kIncompatible);
    return error.what();
  }
  return "";
}

TEST(Filling, MakesTheModuleThatTheWeightsCameFrom) {
  const c10::InferenceMode no_gradients;
  torch::jit::Module original = build(resnet8(), 3);
  torch::jit::Module filled = build_unfilled(resnet8());
  fill(filled, weights_of(resnet8(), 3), "w.pth");
  original.eval();
  filled.eval();
  const at::Tensor input = at::randn({2, 3, 32, 32});
  EXPECT_TRUE(at::equal(original.forward({input}).toTensor(), filled.forward({input}).toTensor()));
}

TEST(Filling, TakesWeightsWithoutBatchCountsAndWithAWrapperPrefix) {
  StateDict tensors;
  for (const auto& [name, tensor] : weights_of(resnet8(), 3)) {
    if (name.find("num_batches_tracked") == std::string::npos) tensors["module." + name] = tensor;
  }
  EXPECT_EQ(refusal(tensors), "");
}

TEST(Filling, ListsAllThatIsMissingExtraMisshapedOrNotFinite) {
  StateDict tensors = weights_of(resnet8(), 3);
  tensors.erase("conv1.weight");
  tensors.erase("layer3.0.bn2.running_var");
  tensors["fc.bias"] = at::zeros({10});
  tensors["linear.weight"] = at::zeros({100, 64});
  tensors["bn1.bias"] = tensors["bn1.bias"].clone().fill_(std::nan(""));
  const std::string message = refusal(tensors);
  EXPECT_THAT(message, HasSubstr("w.pth"));
  EXPECT_THAT(message, HasSubstr("2 missing: conv1.weight, layer3.0.bn2.running_var"));
  EXPECT_THAT(message, HasSubstr("1 not of this architecture: fc.bias"));
  EXPECT_THAT(message, HasSubstr("linear.weight (100x64; expected 10x64)"));
  EXPECT_THAT(message, HasSubstr("no number: bn1.bias"));
}

TEST(Guessing, ReadsClassesShortcutStemAndSizeFromTheWeights) {
  const auto guessed = [](Spec spec) {
    const StateDict tensors = weights_of(spec, 1);
    Spec open;
    open.arch = spec.arch;
    open.classes = 0;
    return completed(guess_from_weights(open, tensors, "w.pth"));
  };
  Spec spec = resnet8();
  spec.classes = 17;
  spec.shortcut = "conv";
  EXPECT_EQ(guessed(spec).classes, 17);
  EXPECT_EQ(guessed(spec).shortcut, "conv");
  spec = {"resnet18", 5, 32, "cifar", ""};
  EXPECT_EQ(guessed(spec).stem, "cifar");
  EXPECT_EQ(guessed(spec).input_size, 32);
  spec = {"vit_small", 9, 64, "", ""};
  EXPECT_EQ(guessed(spec).input_size, 64);
  EXPECT_EQ(guessed(spec).classes, 9);
  spec = {"mobilefacenet", 11, 96, "", ""};
  EXPECT_EQ(guessed(spec).input_size, 96);
  EXPECT_EQ(guessed(spec).classes, 11);
}

}  // namespace
}  // namespace cachectl::zoo
