#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <torch/csrc/jit/api/module.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "fixtures.h"
#include "model/backbone.h"
#include "model/trial.h"

namespace cachectl::model {
namespace {

using fixtures::images;
using fixtures::options_for;
using fixtures::with_forward;
using testing::HasSubstr;

void expect_refused(const BackboneOptions& options, const Tensors& inputs, ExitCode code,
                    const std::string& words) {
  try {
    (void)Backbone::load(options, inputs);
    FAIL() << "accepted; expected: " << words;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(words));
    EXPECT_THAT(error.what(), HasSubstr(options.path));
  }
}

const char* const kHead = "    y = torch.conv2d(x, self.w, None, [1, 1], [1, 1], [1, 1], 1)\n";
const char* const kTail = "torch.matmul(torch.mean(y, [2, 3]), torch.t(self.f))";

std::string returning(const std::string& result) {
  return "\ndef forward(self, x):\n" + std::string(kHead) + "    z = " + kTail + "\n    return " +
         result + "\n";
}

TEST(Loading, HashesTheFile) {
  const auto file = with_forward(returning("z"));
  EXPECT_EQ(Backbone::load(options_for(file), {images(2)})->hash(), sha256_of_file(file.path()));
}

TEST(Loading, RefusesWhatIsNoTorchScript) {
  BackboneOptions missing;
  missing.path = "/nowhere/backbone.pt";
  expect_refused(missing, {images(2)}, ExitCode::kCannotOpen, "No such file");
  BackboneOptions folder;
  folder.path = "/tmp";
  expect_refused(folder, {images(2)}, ExitCode::kCannotOpen, "folder");
  for (const std::string& bytes : {std::string(), std::string("hello"), std::string(4096, '\0'),
                                   std::string("PK\x03\x04") + std::string(200, 'x')}) {
    const auto file = fixtures::with_bytes(bytes);
    expect_refused(options_for(file), {images(2)}, ExitCode::kCorrupt, "not a TorchScript file");
  }
}

TEST(Loading, RefusesAFileCutShortOrWithFlippedBytes) {
  const auto good = fixtures::residual_net();
  std::stringstream buffer;
  buffer << std::ifstream(good.path(), std::ios::binary).rdbuf();
  const std::string bytes = buffer.str();
  const auto cut_short = fixtures::with_bytes(bytes.substr(0, bytes.size() / 2));
  expect_refused(options_for(cut_short), {images(2)}, ExitCode::kCorrupt, "not a TorchScript file");
  std::string flipped = bytes;
  const auto code = flipped.find("def forward");
  if (code != std::string::npos) flipped[code] = 'D';
  const auto changed = fixtures::with_bytes(flipped);
  if (code != std::string::npos) {
    expect_refused(options_for(changed), {images(2)}, ExitCode::kCorrupt, "not a TorchScript file");
  }
}

TEST(Loading, RefusesAProgramThatTouchesFiles) {
  const auto file = with_forward(R"(
def forward(self, x):
    y = torch.conv2d(x, self.w, None, [1, 1], [1, 1], [1, 1], 1)
    z = torch.from_file("/tmp/cachectl-hostile", True, 4)
    return torch.matmul(torch.mean(y, [2, 3]) + z, torch.t(self.f))
)");
  expect_refused(options_for(file), {images(2)}, ExitCode::kCorrupt, "from_file");
  EXPECT_FALSE(std::ifstream("/tmp/cachectl-hostile").good());
}

// A place that a hostile program writes to.
class Target {
 public:
  explicit Target(const std::string& name)
      : path_((std::filesystem::temp_directory_path() /
               ("cachectl-hostile-" + std::to_string(::getpid()) + name))
                  .string()) {}
  ~Target() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  const std::string& path() const { return path_; }
  bool written() const { return std::filesystem::exists(path_); }

 private:
  std::string path_;
};

TEST(Loading, RefusesAProgramThatRestoresItsOwnState) {
  const Target target("state");
  const auto file = with_forward(R"(
def __getstate__(self) -> int:
    return 1
def __setstate__(self, state: int):
    torch.save(state, ")" + target.path() +
                                 R"(")
def forward(self, x):
    return torch.matmul(torch.mean(x, [2, 3]), self.f)
)");
  ASSERT_FALSE(target.written());
  expect_refused(options_for(file), {images(2)}, ExitCode::kCorrupt, "__setstate__");
  EXPECT_FALSE(target.written());
}

// An argument's default, a class's constant, a default of a function within a function: LibTorch
// computes them where it finds them.
TEST(Loading, RefusesAProgramThatComputesWhileItIsRead) {
  const Target target("default");
  const auto good = with_forward("\ndef forward(self, x, k: int=3):\n" + std::string(kHead) +
                                 "    return " + kTail + " * k\n");
  EXPECT_EQ(Backbone::load(options_for(good), {images(2)})->num_classes(), 5);
  const std::string writes = "torch.numel(torch.from_file(\"" + target.path() + "\", True, 4))";
  const std::vector<std::pair<std::string, std::string>> edits = {
      {"k: int=3", "k: int=" + writes},
      {"k: int=3", "k: int=-(" + writes + ")"},
      {"k: int=3", "k: int=3, l: List[int]=annotate(List[int], [1, " + writes + "])"},
      {"  def forward", "  q : Final[int] = " + writes + "\n  def forward"},
      {") -> Tensor:\n", ") -> Tensor:\n    def inner(n: int=" + writes + "):\n      return n\n"}};
  for (const auto& [from, to] : edits) {
    const auto file = fixtures::with_source_edited(good, from, to);
    expect_refused(options_for(file), {images(2)}, ExitCode::kCorrupt, "is computed");
    EXPECT_FALSE(target.written()) << to;
  }
}

TEST(Loading, TakesTheDefaultsThatExportsWrite) {
  const auto plain = with_forward("\ndef forward(self, x, k: int=3):\n" + std::string(kHead) +
                                  "    return " + kTail + " * k\n");
  const auto file = fixtures::with_source_edited(
      plain, "k: int=3",
      "k: int=3, s: float=-1.5, z: complex=1.-2.j, low: float=-inf, text: str=\"a\\\"b(\", "
      "t: Tuple[int, bool]=(1, True), e: List[int]=annotate(List[int], []), "
      "m: Optional[Tensor]=None, d: Device=torch.device(\"cpu\")");
  const at::Tensor x = images(3);
  EXPECT_TRUE(at::equal(Backbone::load(options_for(file), {x})->run({x}),
                        Backbone::load(options_for(plain), {x})->run({x})));
}

TEST(Loading, RefusesAFileWithoutForward) {
  const auto file = with_forward("\ndef other(self, x):\n    return torch.relu(x)\n");
  expect_refused(options_for(file), {images(2)}, ExitCode::kCorrupt, "no method 'forward'");
}

TEST(Loading, RefusesWhatIsNoClassifier) {
  const auto map =
      with_forward("\ndef forward(self, x):\n" + std::string(kHead) + "    return y\n");
  expect_refused(options_for(map), {images(2)}, ExitCode::kIncompatible, "not a classifier");
  const auto one = with_forward("\ndef forward(self, x):\n    return torch.mean(x)\n");
  expect_refused(options_for(one), {images(2)}, ExitCode::kIncompatible, "shape scalar");
  const auto integers = with_forward(returning("torch.argmax(z, 1, True)"));
  expect_refused(options_for(integers), {images(2)}, ExitCode::kIncompatible, "not a classifier");
}

TEST(Loading, SaysThatABatchSizeWasBakedIn) {
  const auto file = with_forward(returning("torch.reshape(z, [4, 5])"));
  expect_refused(options_for(file), {images(4)}, ExitCode::kIncompatible,
                 "batches of 4 samples only");
}

TEST(Loading, RefusesAnswersThatDependOnTheRestOfTheBatch) {
  const auto file = with_forward(returning("torch.sub(z, torch.mean(z, [0], True))"));
  expect_refused(options_for(file), {images(4)}, ExitCode::kIncompatible,
                 "depends on the other samples");
}

TEST(Loading, RefusesAnotherNumberOfInputs) {
  const auto file = with_forward(returning("z"));
  expect_refused(options_for(file), {images(2), images(2)}, ExitCode::kIncompatible,
                 "forward takes 1 inputs, but the data set gives 2");
  const auto two = with_forward("\ndef forward(self, x, mask):\n" + std::string(kHead) +
                                "    return " + kTail + " * mask\n");
  expect_refused(options_for(two), {images(2)}, ExitCode::kIncompatible, "'mask'");
  EXPECT_EQ(Backbone::load(options_for(two), {images(4), at::ones({4, 1})})->num_classes(), 5);
}

TEST(Loading, SaysWhatFailsOnInputsOfTheWrongKind) {
  const auto file = with_forward(returning("z"));
  expect_refused(options_for(file), {at::randn({3, 7})}, ExitCode::kIncompatible, "forward fails");
  // LibTorch names the functions that a node was inlined from.
  const auto nested = fixtures::residual_net();
  expect_refused(options_for(nested), {at::randn({3, 7, 8, 8})}, ExitCode::kIncompatible,
                 "forward fails on these inputs (7x8x8 each)");
}

TEST(Loading, DetectsProbabilities) {
  const at::Tensor x = images(5);
  const auto logits = with_forward(returning("z")),
             probabilities = with_forward(returning("torch.softmax(z, 1)")),
             logs = with_forward(returning("torch.log_softmax(z, 1)"));
  const auto a = Backbone::load(options_for(logits), {x}),
             b = Backbone::load(options_for(probabilities), {x}),
             c = Backbone::load(options_for(logs), {x});
  EXPECT_EQ(a->output_kind(), OutputKind::kLogits);
  EXPECT_EQ(b->output_kind(), OutputKind::kProbabilities);
  EXPECT_EQ(c->output_kind(), OutputKind::kLogits);
  const at::Tensor expected = at::softmax(a->run({x}), 1);
  for (const auto& backbone : {a, b, c}) {
    const at::Tensor raw = backbone->run({x});
    EXPECT_TRUE(at::allclose(backbone->probabilities(raw), expected, 1e-5, 1e-6));
    EXPECT_TRUE(at::allclose(backbone->log_probabilities(raw).exp(), expected, 1e-5, 1e-6));
  }
  auto said = options_for(probabilities);
  said.output_kind = "logits";
  EXPECT_EQ(Backbone::load(said, {x})->output_kind(), OutputKind::kLogits);
}

TEST(Loading, TakesOneTensorOutOfATupleOrDict) {
  const at::Tensor x = images(3);
  const auto plain = with_forward(returning("z"));
  const at::Tensor expected = Backbone::load(options_for(plain), {x})->run({x});
  const auto tuple = with_forward(returning("(torch.mul(z, 2), z)"));
  auto options = options_for(tuple);
  EXPECT_TRUE(at::allclose(Backbone::load(options, {x})->run({x}), 2 * expected));
  options.output = "1";
  EXPECT_TRUE(at::allclose(Backbone::load(options, {x})->run({x}), expected));
  options.output = "2";
  expect_refused(options, {x}, ExitCode::kIncompatible, "backbone.output");
  const auto dict = with_forward(returning("{\"aux\": torch.mul(z, 2), \"out\": z}"));
  options = options_for(dict);
  EXPECT_TRUE(at::allclose(Backbone::load(options, {x})->run({x}), expected));
  options.output = "aux";
  EXPECT_TRUE(at::allclose(Backbone::load(options, {x})->run({x}), 2 * expected));
}

TEST(Loading, TakesADictAsItIsReturnedNotAsItWasMade) {
  const at::Tensor x = images(3);
  const auto plain = with_forward(returning("z"));
  const at::Tensor expected = Backbone::load(options_for(plain), {x})->run({x});
  const auto filled =
      with_forward("\ndef forward(self, x):\n" + std::string(kHead) + "    z = " + kTail + R"(
    answers = {"logits": z}
    answers["logits"] = torch.mul(z, 3)
    answers["late"] = torch.mul(z, 2)
    return answers
)");
  auto options = options_for(filled);
  expect_refused(options, {x}, ExitCode::kIncompatible, "backbone.output");
  options.output = "late";
  EXPECT_TRUE(at::allclose(Backbone::load(options, {x})->run({x}), 2 * expected));
  options.output = "logits";
  EXPECT_TRUE(at::allclose(Backbone::load(options, {x})->run({x}), 3 * expected));
}

TEST(Loading, TakesAListAsItIsReturnedNotAsItWasMade) {
  const at::Tensor x = images(3);
  const auto plain = with_forward(returning("z"));
  const at::Tensor expected = Backbone::load(options_for(plain), {x})->run({x});
  const auto turned =
      with_forward("\ndef forward(self, x):\n" + std::string(kHead) + "    z = " + kTail + R"(
    answers = [torch.mul(z, 2), z]
    answers.reverse()
    answers.append(torch.mul(z, 3))
    return answers
)");
  auto options = options_for(turned);
  EXPECT_TRUE(at::allclose(Backbone::load(options, {x})->run({x}), expected));
  options.output = "1";
  EXPECT_TRUE(at::allclose(Backbone::load(options, {x})->run({x}), 2 * expected));
  options.output = "2";
  EXPECT_TRUE(at::allclose(Backbone::load(options, {x})->run({x}), 3 * expected));
  options.output = "aux";
  expect_refused(options, {x}, ExitCode::kIncompatible, "backbone.output");
  const auto parts =
      with_forward(returning("torch.chunk(torch.cat([z, torch.mul(z, 2)], 1), 2, 1)"));
  options = options_for(parts);
  options.output = "1";
  EXPECT_TRUE(at::allclose(Backbone::load(options, {x})->run({x}), 2 * expected));
}

TEST(Loading, RefusesAnAnswerThatIsNoNumberForASampleAlone) {
  const auto file = with_forward(returning("torch.add(z, torch.mul(torch.std(z, 0), 0.000001))"));
  expect_refused(options_for(file), {images(3)}, ExitCode::kIncompatible,
                 "depends on the other samples");
}

TEST(Loading, RefusesWhatAnswersOtherwiseThanTheFile) {
  const auto file = with_forward(returning("z"));
  const auto options = options_for(file);
  const at::Tensor x = images(kTrialRows);
  const SegmentChain chain = Backbone::load(options, {x})->cut({});
  const at::Tensor several = chain.run({x}), one = several.slice(0, 0, 1);
  EXPECT_NO_THROW(require_same({{several}, {one}}, chain, {x}, options));
  EXPECT_NO_THROW(require_same({{x, several}, {one + 1, one}}, chain, {x}, options));
  for (const std::vector<Tensors>& other :
       {std::vector<Tensors>{{several + 0.01}, {one}}, {{several}, {one + 0.01}}, {{}, {}}}) {
    try {
      require_same(other, chain, {x}, options);
      FAIL() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kIncompatible);
      EXPECT_THAT(error.what(), HasSubstr("as its own forward does"));
    }
  }
}

TEST(Loading, WhatAForwardPrintsIsNoResult) {
  const auto file = with_forward("\ndef forward(self, x):\n" + std::string(kHead) +
                                 "    print(\"here\", 1)\n    return " + kTail + "\n");
  testing::internal::CaptureStdout();
  (void)Backbone::load(options_for(file), {images(2)})->run({images(4)});
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
}

TEST(Loading, Bfloat16LeavesWholeNumbersAlone) {
  const auto file = with_forward(R"(
def forward(self, x):
    y = torch.conv2d(x, self.w, None, [1, 1], [1, 1], [1, 1], 1)
    y = torch.index_select(torch.mean(y, [2, 3]), 1, self.order)
    return torch.matmul(torch.mul(y, self.count), torch.t(self.f))
)");
  auto options = options_for(file);
  const at::Tensor x = images(5);
  const at::Tensor exact = Backbone::load(options, {x})->run({x});
  options.precision = "bfloat16";
  const at::Tensor near = Backbone::load(options, {x})->run({x});
  EXPECT_LT((near - exact).abs().max().item<double>(), 0.05 * exact.abs().max().item<double>());
}

TEST(Loading, ProbabilitiesInBfloat16SumToOne) {
  const at::Tensor x = images(5);
  const auto file = with_forward(returning("torch.softmax(torch.mul(z, 30), 1)"));
  auto options = options_for(file);
  options.precision = "bfloat16";
  const auto backbone = Backbone::load(options, {x});
  ASSERT_EQ(backbone->output_kind(), OutputKind::kProbabilities);
  const at::Tensor sums = backbone->probabilities(backbone->run({x})).sum(1);
  EXPECT_LT((sums - 1).abs().max().item<double>(), 1e-6);
}

TEST(Loading, TakesTokensThatTheDataSetGivesAsFloats) {
  const auto file = with_forward(R"(
def forward(self, x):
    y = torch.embedding(self.f, x)
    y = torch.mean(torch.relu(y), [1])
    return torch.matmul(y, torch.t(self.f))
)");
  const at::Tensor tokens = at::randint(0, 5, {4, 6}, at::kLong);
  const auto exact = Backbone::load(options_for(file), {tokens});
  const auto cast = Backbone::load(options_for(file), {tokens.to(at::kFloat)});
  EXPECT_TRUE(at::equal(exact->run({tokens}), cast->run({tokens.to(at::kFloat)})));
}

}  // namespace
}  // namespace cachectl::model
